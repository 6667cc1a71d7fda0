"""The second connection to a PostgreSQL server, for jobs in the background. There is never more than one of it.

A job asks in transactions, each read-only, with what is left of the job's time as its `statement_timeout`, so that the
server itself ends what goes on too long. A transaction is always rolled back: whatever a statement changed of the
session's settings is undone with it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

from exporter.clock import monotonic
from exporter.errors import TargetRefused, TargetUnavailable
from exporter.postgres.connect import QUERY_ERRORS, Connection, target_error

OpenConnection = Callable[[str | None, float], Awaitable[Connection]]
"""Connects to a database (None: that of the address) within so many seconds. Raises TargetError."""
# Whoever holds a lock longer is not waited for: a job that queues up for a relation holds up those behind it.
LOCK_SECONDS = 1.0
CLOSE_SECONDS = 1.0
# CREATE DATABASE … TEMPLATE lets nobody into its template for as long as it copies.
FURTHER_SECONDS = 5.0
"""The most that connecting to a database other than that of the address may take."""


class PostgresSession:
    """The connection, made when the first transaction asks for it, and made anew for another database."""

    def __init__(self, connect: OpenConnection) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._database: str | None = None

    @asynccontextmanager
    async def transaction(self, until: float, database: str | None = None) -> AsyncIterator[Connection]:
        """Open a read-only transaction in `database` (None: that of the address) that may last `until` then.

        `until` is on the event loop's clock. Raises TargetError, also for errors of the driver inside the block;
        TargetUnavailable only of the address's own database, since what becomes of another tells nothing of the server.
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
            # An answer to the old question may still be on its way.
            await self.close()
            raise

    async def close(self) -> None:
        """Drop the connection, if there is one. Closing politely would wait for the server to say goodbye."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _close_gracefully(self, connection: Connection) -> None:
        """Wait, but not for long, until the server has ended the session: the role may be limited to so many."""
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await connection.close(timeout=CLOSE_SECONDS)
        await self.close()

    async def _roll_back(self) -> None:
        """After an error of the server the connection is as good as before; unless it was lost."""
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
    """One round trip. SET LOCAL holds behind a pooler too, where settings of the session are lost or refused."""
    statement, lock = (max(int(1000 * limit), 1) for limit in (seconds, min(seconds, LOCK_SECONDS)))
    return f"BEGIN READ ONLY; SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {lock}"
