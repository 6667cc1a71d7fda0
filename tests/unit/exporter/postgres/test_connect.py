"""Errors about an invalid address never repeat a part of it that may be the password."""

import pytest

from exporter.errors import TargetMisconfigured
from exporter.postgres.connect import connect
from runbookd.inventory import PostgresTarget, SecretStr

NO_ADDRESS = "dsn: not an address; write it as postgresql://role:password@host:5432/database"


async def error_text(dsn: str) -> str:
    with pytest.raises(TargetMisconfigured) as raised:
        await connect(PostgresTarget(dsn=SecretStr(dsn)).dsn_secret(), 1.0)
    return str(raised.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://role:pssl1/abc@host/db",
        "postgresql://role:certificate1/abc@host/db",
        "pssl1://role:abc@host/db",
        "postgresql://[pssl1:abc@host/db",
        "postgresql://role:a@[pssl1/abc",
        "postgresql://role:a@b@[pssl1]x/db",
        "postgresql://role:abc@127.0.0.1:1/db?target_session_attrs=pssl1",
        "postgresql://role:abc@127.0.0.1:1,2,3/db?sslmode=pssl1",
        "postgresql://role:abc@127.0.0.1:1/db?ssl_min_protocol_version=pssl1",
    ],
)
async def test_error_does_not_repeat_any_part_of_an_invalid_address(dsn: str) -> None:
    words = await error_text(dsn)
    assert "pssl1" not in words
    assert "certificate1" not in words


async def test_error_does_not_repeat_a_password_parsed_as_a_port() -> None:
    assert await error_text("postgresql://role:pssl1/abc@host/db") == NO_ADDRESS


@pytest.mark.parametrize(
    ("query", "expected"),
    [("sslmode=maybe", "`sslmode` parameter must be one of"), ("sslmode=verify-full", "root certificate file")],
)
async def test_error_names_the_tls_problem(query: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    assert expected in await error_text(f"postgresql://role:abc@127.0.0.1:1/db?{query}")
