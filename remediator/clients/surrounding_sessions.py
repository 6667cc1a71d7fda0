"""The sessions of a database that forbid a restart beside them: migrations and backups."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from remediator.clients.known_applications import BACKUPS, MIGRATIONS
from remediator.clients.postgres import connect, translate_errors
from remediator.clients.sql_files import load_statements
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope

SECONDS = 5.0
LOCKED_FOR = timedelta(seconds=5)
SQL = load_statements(__package__, "surrounding_sessions.sql")


@dataclass(frozen=True)
class SurroundingSessions:
    """The names and pids of sessions that change the schema, and of those that make a backup."""

    migrations: Sequence[str]
    backups: Sequence[str]


async def read_sessions(scope: Scope) -> SurroundingSessions:
    """Read the sessions of a PostgreSQL target with `admin_dsn`, or with `dsn` if there is none.

    Raises:
        TargetUnreachable: it does not answer, or hides the sessions of others.
    """
    target = scope.stack.postgres[scope.target.name]
    secret = target.admin_dsn_secret() if target.admin_dsn_secret().configured else target.dsn_secret()
    async with connect(scope, secret) as connection:
        with translate_errors(scope):
            async with asyncio.timeout(SECONDS):
                return await _read(scope, connection)


async def _read(scope: Scope, connection: asyncpg.Connection) -> SurroundingSessions:
    if not await connection.fetchval(SQL["sees_sessions"]):
        raise TargetUnreachable(f"{scope.target}: the role cannot see the sessions of others; GRANT pg_monitor to it")
    migrations = await connection.fetch(SQL["migrations"], MIGRATIONS, LOCKED_FOR)
    backups = await connection.fetch(SQL["backups"], BACKUPS)
    return SurroundingSessions(_names(migrations), _names(backups))


def _names(rows: Sequence[asyncpg.Record]) -> Sequence[str]:
    return [f"{row['name'] or 'a session without a name'} (pid {row['pid']})" for row in rows]
