"""A server that accepts connections and says nothing holds up no run: the client gives up, and so does the server."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from remediator.clients import postgres, redis
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope, TargetName
from runbookd.inventory import RemediationSettings, Stack


@pytest.fixture
def silent() -> Iterator[int]:
    """Yield the port of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def scope_of(kind: Any, **target: str) -> Scope:
    stack = Stack.model_validate({kind: {"main": target}})
    return Scope(stack, TargetName("shop", kind, "main"), RemediationSettings(), "17")


async def test_silent_postgresql_server_ends_the_attempt(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 0.2)
    address = f"postgresql://x:y@127.0.0.1:{silent}/shop"
    async with asyncio.timeout(30):
        with pytest.raises(TargetUnreachable, match="admin_dsn: no answer in time"):
            async with postgres.connect(scope_of("postgres", dsn=address, admin_dsn=address)):
                pass


async def test_silent_redis_server_ends_the_attempt(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "ANSWER_SECONDS", 0.2)
    address = f"redis://127.0.0.1:{silent}/0"
    scope = scope_of("redis", url=address, admin_url=address)
    async with asyncio.timeout(30), redis.connect(scope) as client:
        with pytest.raises(TargetUnreachable, match="shop/redis/main: "), redis.translate_errors(scope):
            await client.ping()


async def test_server_itself_limits_the_statements_of_a_run(database: Any) -> None:
    """It ends them even if the remediator no longer runs."""
    async with postgres.connect(scope_of("postgres", dsn=database.dsn(), admin_dsn=database.dsn())) as connection:
        limits = {name: await connection.fetchval(f"SHOW {name}") for name in ("statement_timeout", "lock_timeout")}
    assert limits == {"statement_timeout": "10s", "lock_timeout": "2s"}
