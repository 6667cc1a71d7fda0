"""A PostgreSQL server that a remediation cannot use is refused with its cause, here by terminate_idle_transactions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.servers.postgres import PostgresServer
from remediator.model.errors import TargetUnreachable
from tests.integration.remediator.remediations.raw_session import ask, raw_database, raw_session
from tests.integration.remediator.remediations.steps import Steps

plan_of = Steps("terminate_idle_transactions").plan_of


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        ("postgresql://remediator:wrong-secret@127.0.0.1:{port}/postgres", "password authentication failed for user"),
        ("postgresql://remediator:wrong-secret@127.0.0.1:1/postgres", "the connection is refused; check the address"),
        ("mysql://remediator:wrong-secret@127.0.0.1/postgres", "is not an address of the form postgresql://"),
        ("postgresql://remediator:wrong-secret@127.0.0.1:wrong-secret/postgres", "is not an address of the form"),
    ],
)
async def test_invalid_address_is_one_clear_line_without_the_password(
    postgres_server, scope_of, dsn: str, words: str
) -> None:
    stack = {"postgres": {"main": {"dsn": "postgresql://x", "admin_dsn": dsn.format(port=postgres_server.port)}}}
    with pytest.raises(TargetUnreachable) as caught:
        await plan_of(scope_of("postgres", stack=stack))
    message = str(caught.value)
    assert message.startswith("shop/postgres/main: ")
    assert words in message
    assert "wrong-secret" not in message
    assert "\n" not in message


async def test_standby_is_refused(servers_folder: Path, scope_of) -> None:
    server = PostgresServer(servers_folder / "standby_with_sessions")
    server.start()
    try:
        server.stop()
        (server.place().data / "standby.signal").touch()
        server.start()
        stack = {"postgres": {"main": {"dsn": "postgresql://x", "admin_dsn": server.dsn()}}}
        with pytest.raises(TargetUnreachable, match="leads to a standby; point it at the primary"):
            await plan_of(scope_of("postgres", stack=stack))
    finally:
        server.remove()


async def test_missing_admin_dsn_is_named(scope_of) -> None:
    stack = {"postgres": {"main": {"dsn": "postgresql://x"}}}
    with pytest.raises(TargetUnreachable, match="admin_dsn is not set; add admin_dsn or admin_dsn_file"):
        await plan_of(scope_of("postgres", stack=stack))


@pytest.fixture
def latin_role(postgres_server: PostgresServer, database: Any) -> Iterator[None]:
    """Keep an idle transaction of a role whose name is not UTF-8: roles are common to databases of any encoding."""
    with raw_database(postgres_server) as admin:
        ask(admin, b"CREATE ROLE \"caf\xe9\" LOGIN PASSWORD 'x'; SELECT 1;\n")
        with raw_session(f"postgresql://caf%E9:x@127.0.0.1:{postgres_server.port}/{database.name}") as session:
            ask(session, b"BEGIN; SELECT 1;\n")
            yield
        ask(admin, b'DROP ROLE "caf\xe9"; SELECT 1;\n')


async def test_role_whose_name_is_not_utf_8_is_named_as_the_cause(latin_role, database, scope_of) -> None:
    await asyncio.sleep(1.1)  # older than 1 s
    stack = {"postgres": {"main": {"dsn": database.dsn(), "admin_dsn": database.dsn()}}}
    with pytest.raises(TargetUnreachable, match="postgres/main: a name in the result is not UTF-8; rename the role"):
        await plan_of(scope_of("postgres", stack=stack, older_than="1s"))
