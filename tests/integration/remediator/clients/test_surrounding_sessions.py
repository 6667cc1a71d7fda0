"""Migrations and backups are read from a real PostgreSQL, as the role that deploy/ creates."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from demo.servers.postgres import PostgresServer
from remediator.clients import surrounding_sessions
from remediator.clients.surrounding_sessions import read_sessions
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope, TargetName
from runbookd.inventory import RemediationSettings, Stack

GRANTS = Path(__file__).parents[4] / "deploy" / "postgres" / "remediator.sql"


@pytest.fixture
def roles(postgres_server: PostgresServer) -> Iterator[None]:
    for role in ("remediator", "stranger"):
        postgres_server.add_role(role)
    postgres_server.sql(GRANTS.read_text())
    yield
    for role in ("remediator", "stranger"):
        postgres_server.sql(f"DROP ROLE {role}")


def scope_of(database: Any, role: str = "remediator", key: str = "admin_dsn") -> Scope:
    dsns = {"dsn": database.dsn(), key: database.dsn(role)}
    stack = Stack.model_validate({"postgres": {"main": dsns}})
    return Scope(stack, TargetName("shop", "postgres", "main"), RemediationSettings(), "17")


@asynccontextmanager
async def session(database: Any, name: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.dsn(), server_settings={"application_name": name})
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("name", "migrates", "backs_up"),
    [
        ("Flyway Community", True, False),
        ("migrate", True, False),
        ("pg_dump", False, True),
        ("pgBackRest [backup]", False, True),
        ("psql", False, False),
        ("shop-api", False, False),
    ],
)
@pytest.mark.usefixtures("roles")
async def test_tools_are_known_by_the_beginning_of_their_names(
    database: Any, name: str, migrates: bool, backs_up: bool
) -> None:
    async with session(database, name):
        seen = await read_sessions(scope_of(database))
    assert (bool(seen.migrations), bool(seen.backups)) == (migrates, backs_up)
    assert all(each.startswith(f"{name} (pid ") for each in (*seen.migrations, *seen.backups))


@pytest.mark.usefixtures("roles")
async def test_lock_that_excludes_readers_counts_once_it_is_old(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    database.sql("CREATE TABLE orders (id int)")
    async with session(database, "psql") as connection, connection.transaction():
        await connection.execute("ALTER TABLE orders ADD COLUMN note text")
        assert (await read_sessions(scope_of(database))).migrations == []
        monkeypatch.setattr(surrounding_sessions, "LOCKED_FOR", timedelta(seconds=0.2))
        await asyncio.sleep(0.3)
        assert len((await read_sessions(scope_of(database))).migrations) == 1


@pytest.mark.usefixtures("roles")
async def test_temporary_table_is_no_migration(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrounding_sessions, "LOCKED_FOR", timedelta(0))
    async with session(database, "report") as connection, connection.transaction():
        await connection.execute("CREATE TEMP TABLE numbers (id int)")
        await asyncio.sleep(0.05)
        assert (await read_sessions(scope_of(database))).migrations == []


@pytest.mark.usefixtures("roles")
async def test_role_that_sees_no_other_sessions_is_a_clear_error(database: Any) -> None:
    with pytest.raises(TargetUnreachable, match="the role cannot see the sessions of others; GRANT pg_monitor to it"):
        await read_sessions(scope_of(database, "stranger"))
    with pytest.raises(TargetUnreachable, match="GRANT pg_monitor"):
        await read_sessions(scope_of(database, "stranger", "dsn"))
