"""A connection to a PostgreSQL primary whose role sees the sessions of others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from remediator.clients.postgres import CONNECT_SECONDS, application_name, connect, translate_errors
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope

OLDEST_VERSION = 140_000  # the first in which pg_terminate_backend can wait for the session to end
_SERVER = """
    SELECT current_user AS role,
           pg_is_in_recovery() AS standby,
           current_setting('server_version_num')::int AS version,
           pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_sessions,
           pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS may_signal
"""
_AT_WORK = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid() AND state = 'active'
    )
"""


@dataclass(frozen=True)
class Primary:
    """A connection to a primary, with its role and server version: 170004 for 17.4."""

    connection: asyncpg.Connection
    role: str
    version: int
    may_signal: bool


@asynccontextmanager
async def connect_primary(scope: Scope) -> AsyncIterator[Primary]:
    """Connect to `admin_dsn` and check that a plan made there is complete.

    Raises:
        TargetUnreachable: no usable server answers, or it is too old, a standby, or hides the sessions of others.
    """
    async with connect(scope) as connection:
        with translate_errors(scope):
            async with asyncio.timeout(CONNECT_SECONDS):
                server = await connection.fetchrow(_SERVER)
        assert server is not None  # a SELECT without FROM has one row  # noqa: S101
        _require_usable(scope, server)
        yield Primary(connection, server["role"], server["version"], server["may_signal"])


async def is_at_work(connection: asyncpg.Connection, scope: Scope) -> bool:
    """Return whether another session of the run is active: an effect whose answer was lost may still be running."""
    return bool(await connection.fetchval(_AT_WORK, application_name(scope.run)))


def _require_usable(scope: Scope, server: asyncpg.Record) -> None:
    if server["version"] < OLDEST_VERSION:
        raise TargetUnreachable(f"{scope.target}: needs PostgreSQL 14 or newer, this is {server['version'] // 10_000}")
    if server["standby"]:
        raise TargetUnreachable(
            f"{scope.target}: admin_dsn leads to a standby; point it at the primary (target_session_attrs=read-write)"
        )
    if not server["sees_sessions"]:  # the state of others' sessions reads NULL: the plan would be empty, wrongly
        raise TargetUnreachable(
            f'{scope.target}: role "{server["role"]}" cannot see the sessions of others;'
            f' GRANT pg_read_all_stats TO "{server["role"]}"'
        )
