"""A scratch ledger in memory, for simulations: the tables and queries of the others, without a file, threads or locks.

It has one connection, whose statements are executed at once in the event loop. So its transactions come one after the
other, in an order that only the program decides.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Any, Self, cast

from sqlalchemy import Connection, Executable, NullPool, StaticPool, create_engine, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.always_leading import AlwaysLeading
from remediator.ledger.protocol import ServerIdentity
from remediator.ledger.schema import delivery
from remediator.ledger.sqlite.migrate import migrate
from remediator.ledger.sqlite.prepared import PreparedStatements
from remediator.ledger.sqlite.trail import cut_trail
from remediator.model.errors import LedgerUnavailable

_INSERT_DELIVERY = insert(delivery)


class MemoryLedger(AlwaysLeading):
    """A ledger that ends with the process; see Ledger. While `outage` is set, it is unavailable for that reason."""

    def __init__(self) -> None:
        self.outage: str | None = None
        self.changed = asyncio.Event()
        """Set at each commit of a writer; the one that waits for it clears it."""
        self.writes = 0
        """The number of transactions of writers, also of those that were rolled back."""
        engine = create_engine("sqlite://", creator=_connect, poolclass=StaticPool, isolation_level="AUTOCOMMIT")
        self._connection = engine.connect()
        self._driver = _driver(self._connection)
        self._direct = cast(AsyncConnection, _DirectConnection(self._connection, PreparedStatements(engine.dialect)))
        self._turn = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """See Ledger."""
        try:
            yield self
        finally:
            self._connection.close()
            self._connection.engine.dispose()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger."""
        self.writes += 1
        async with self._available():
            audit.begin(self._direct)
            self._driver.execute("BEGIN")
            try:
                yield self._direct
                self._raise_on_outage()
                self._driver.execute("COMMIT")
            finally:
                if self._driver.in_transaction:
                    self._driver.execute("ROLLBACK")
        self.changed.set()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger. It needs no transaction: no writer gets its turn before it ends."""
        async with self._available():
            yield self._direct

    async def accept(self, received_at: datetime, body: bytes) -> None:
        """See Ledger."""
        async with self._available():
            await self._direct.execute(_INSERT_DELIVERY, {"received_at": received_at, "body": body})

    async def cut_trail(self, connection: AsyncConnection, now: datetime) -> int:
        """See Ledger."""
        return await cut_trail(connection, now)

    async def server_identity(self) -> ServerIdentity | None:
        """See Ledger."""
        return None

    @asynccontextmanager
    async def _available(self) -> AsyncIterator[None]:
        """Wait for the turn of this task, which it has until the block ends.

        Raises:
            LedgerUnavailable: an outage, or an error of the database.
        """
        task = asyncio.current_task()
        if self._holder is task:
            raise AssertionError("a transaction of the scratch ledger was begun within another one")
        async with self._turn:
            self._holder = task
            try:
                self._raise_on_outage()
                yield
            except (DBAPIError, sqlite3.Error) as error:
                cause = error.orig if isinstance(error, DBAPIError) else error
                raise LedgerUnavailable(f"the ledger: {cause}") from error
            finally:
                self._holder = None

    def _raise_on_outage(self) -> None:
        if self.outage is not None:
            raise LedgerUnavailable(f"the ledger: {self.outage}")


class _DirectConnection:
    """A connection as the ledger's functions use AsyncConnection; each statement is done when the call returns."""

    def __init__(self, connection: Connection, prepared: PreparedStatements) -> None:
        self._connection, self._prepared, self._driver = connection, prepared, _driver(connection)
        self.info = connection.info

    async def execute(self, statement: Executable, parameters: Any = None) -> Any:
        of_one = parameters[0] if isinstance(parameters, list) and parameters else parameters or {}
        prepared = self._prepared.get(statement, of_one)
        if prepared is None:
            return self._connection.execute(statement, parameters)
        if isinstance(parameters, list):
            return prepared.execute_many(self._driver, parameters)
        return prepared.execute(self._driver, of_one)


def _connect() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.deserialize(_empty_ledger())
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@cache
def _empty_ledger() -> bytes:
    """Return a migrated database without rows: a test of a policy opens dozens of ledgers."""
    with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
        with connection.begin():
            migrate(connection)
        return _driver(connection).serialize()


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)
