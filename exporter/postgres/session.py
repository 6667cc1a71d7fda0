"""The second connection to a PostgreSQL server, which all background jobs share.

A job queries in read-only transactions. Their `statement_timeout` is the job's remaining time, so that the server
itself cancels slow queries. Each transaction is rolled back, which also undoes changes to the session's settings.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

from exporter.clock import monotonic
from exporter.errors import TargetRefused, TargetUnavailable
from exporter.postgres.connect import QUERY_ERRORS, Connection, target_error

OpenConnection = Callable[[str | None, float], Awaitable[Connection]]
"""Connects to a database (None: the DSN's) within the given seconds. Raises TargetError."""
# Short, because a job that waits for a lock on a relation blocks every session that queues behind it.
LOCK_SECONDS = 1.0
CLOSE_SECONDS = 1.0
# CREATE DATABASE … TEMPLATE refuses connections to its template while it copies.
FURTHER_SECONDS = 5.0
"""Limit for connecting to a database other than the DSN's."""


class PostgresSession:
    """The connection: opened by the first transaction, and reopened for another database."""

    def __init__(self, connect: OpenConnection) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._database: str | None = None

    @asynccontextmanager
    async def transaction(self, until: float, database: str | None = None) -> AsyncIterator[Connection]:
        """Open a read-only transaction in `database` (None: the DSN's), until `until` at most.

        `until` is on the event loop's clock. Raises TargetError, also for driver errors inside the block.
        TargetUnavailable only for the DSN's database: another one's failure does not mean that the server is down.
        """
        try:
            async with self._transaction(until, database) as connection:
                yield connection
        except TargetUnavailable as error:
            if database is None:
                raise
            raise TargetRefused(f"database {database!r}: {error.args[0]}") from None

    @asynccontextmanager
    async def _transaction(self, until: float, database: str | None) -> AsyncIterator[Connection]:
        try:
            connection = await self._ensure_connected(until, database)
            await connection.execute(_begin(until - monotonic()))
            yield connection
            await connection.execute("ROLLBACK")
        except QUERY_ERRORS as error:
            await self._roll_back()
            raise target_error(error) from None
        except (asyncpg.InterfaceError, OSError) as error:
            await self.close()
            raise target_error(error) from None
        except BaseException:
            # The result of the cancelled query may still arrive.
            await self.close()
            raise

    async def close(self) -> None:
        """Drop the connection, if any, without waiting for the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _close_gracefully(self, connection: Connection) -> None:
        """Wait up to CLOSE_SECONDS for the session to end.

        The role's connections may be limited.
        """
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await connection.close(timeout=CLOSE_SECONDS)
        await self.close()

    async def _roll_back(self) -> None:
        """Roll back after a query error, and close the connection if it was lost."""
        try:
            if self._connection is not None:
                await self._connection.execute("ROLLBACK")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await self.close()

    async def _ensure_connected(self, until: float, database: str | None) -> Connection:
        if self._connection is not None and (self._connection.is_closed() or self._database != database):
            await self._close_gracefully(self._connection)
        if self._connection is None:
            remaining = max(until - monotonic(), 0.1)
            self._connection = await self._connect(
                database, remaining if database is None else min(remaining, FURTHER_SECONDS)
            )
            self._database = database
        return self._connection


def _begin(seconds: float) -> str:
    """Return BEGIN with its limits, for one round trip. SET LOCAL also works behind a pooler."""
    statement, lock = (max(int(1000 * limit), 1) for limit in (seconds, min(seconds, LOCK_SECONDS)))
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
    return f"{begin}; SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {lock}"
