"""A scratch ledger in memory, for simulations: the tables and queries of the others, without a file, threads or locks.

It has one connection, whose statements are executed at once in the event loop. So its transactions come one after the
other, in an order that only the program decides.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Any, Self

from sqlalchemy import Connection, StaticPool, create_engine, event, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from remediator.ledger import audit
from remediator.ledger.always_leading import AlwaysLeading
from remediator.ledger.protocol import ServerIdentity
from remediator.ledger.schema import delivery
from remediator.ledger.sqlite.migrate import migrate
from remediator.ledger.sqlite.trail import cut_trail
from remediator.ledger.sqlite.uncancellable import UncancellableCursor
from remediator.model.errors import LedgerUnavailable


class MemoryLedger(AlwaysLeading):
    """A ledger that ends with the process; see Ledger. While `outage` is set, it is unavailable for that reason."""

    def __init__(self) -> None:
        self.outage: str | None = None
        self.changed = asyncio.Event()
        """Set at each commit of a writer; the one that waits for it clears it."""
        self._engine = create_async_engine("sqlite+aiosqlite://", async_creator=_connect, poolclass=StaticPool)
        event.listen(self._engine.sync_engine, "begin", _begin)
        self._turn = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """See Ledger."""
        try:
            yield self
        finally:
            await self._engine.dispose()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger."""
        async with self._transaction() as connection:
            audit.begin(connection)
            yield connection
        self.changed.set()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger."""
        async with self._transaction() as connection:
            yield connection

    async def accept(self, received_at: datetime, body: bytes) -> None:
        """See Ledger."""
        async with self._transaction() as connection:
            await connection.execute(insert(delivery).values(received_at=received_at, body=body))

    async def cut_trail(self, connection: AsyncConnection, now: datetime) -> int:
        """See Ledger."""
        return await cut_trail(connection, now)

    async def server_identity(self) -> ServerIdentity | None:
        """See Ledger."""
        return None

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        task = asyncio.current_task()
        if self._holder is task:
            raise AssertionError("a transaction of the scratch ledger was begun within another one")
        async with self._turn:
            self._holder = task
            try:
                async with self._engine.begin() as connection:
                    self._raise_on_outage()
                    yield connection
                    self._raise_on_outage()
            except DBAPIError as error:
                raise LedgerUnavailable(f"the ledger: {error.orig}") from error
            finally:
                self._holder = None

    def _raise_on_outage(self) -> None:
        if self.outage is not None:
            raise LedgerUnavailable(f"the ledger: {self.outage}")


class _InlineConnection:
    """A SQLite connection as SQLAlchemy's aiosqlite dialect calls it; each call is done when it returns."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.deserialize(_empty_ledger())
        self._connection.execute("PRAGMA foreign_keys = ON")

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def cursor(self) -> UncancellableCursor:
        return UncancellableCursor(self, self._connection.cursor())

    async def create_function(self, *arguments: Any, **options: Any) -> None:
        self._connection.create_function(*arguments, **options)

    async def commit(self) -> None:
        self._connection.commit()

    async def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.rollback()

    async def close(self) -> None:
        self._connection.close()

    def stop(self) -> None:
        self._connection.close()


@cache
def _empty_ledger() -> bytes:
    """Return a migrated database without rows: a test of a policy opens dozens of ledgers."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        migrate(connection)
    with engine.connect() as connection:
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        return driver.serialize()


async def _connect() -> _InlineConnection:
    return _InlineConnection()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
