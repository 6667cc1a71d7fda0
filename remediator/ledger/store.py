"""Opens the ledger, hands out transactions, and makes sure that one process has it."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from remediator.errors import LedgerUnavailable
from remediator.ledger.schema import metadata

BUSY_TIMEOUT_MILLISECONDS = 5_000
SCHEMA_VERSION = 1


class Ledger:
    """The open ledger. Writers wait for each other; readers never wait.

    A write transaction is durable when its `async with` block has ended without an error. A task must not be cancelled
    inside of one: the driver would leave the file locked. So engine and sender are told to stop, and requests go on to
    their end even where their client has gone.
    """

    def __init__(self, url: str) -> None:
        """Take the address `sqlite:///file`; nothing is opened yet.

        Raises:
            LedgerUnavailable: it is no such address.
        """
        self._address = _address(url)
        self._engine = _engine(self._address)
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Have the ledger for this process alone, creating it where it does not exist.

        Raises:
            LedgerUnavailable: it can not be opened, is no ledger, or another process has it.
        """
        lock = _lock(self._address)
        try:
            await self._prepare()
            yield self
        finally:
            await self._engine.dispose()
            os.close(lock)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees no other writer, begun IMMEDIATE: what it reads still holds when it commits."""
        async with self._writing, self._transaction(immediate=True) as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads, on one consistent snapshot."""
        async with self._transaction(immediate=False) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, *, immediate: bool) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(immediate=immediate)
                async with connection.begin():
                    yield connection
        except DBAPIError as error:
            raise LedgerUnavailable(f"the ledger: {error.orig}") from error
        except NoConnection:
            raise LedgerUnavailable("the ledger: too many readers at once") from None

    async def _prepare(self) -> None:
        try:
            async with self.write() as connection:
                version = (await connection.exec_driver_sql("PRAGMA user_version")).scalar_one()
                if version not in (0, SCHEMA_VERSION):
                    raise LedgerUnavailable("it was written by a newer release")
                await connection.run_sync(metadata.create_all)
                await connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except LedgerUnavailable as error:
            raise LedgerUnavailable(f"{self._address.database}: {error}") from None


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise LedgerUnavailable(f"{url!r} is no ledger address; write sqlite:///path/to/runbookd.db") from None
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        raise LedgerUnavailable("the ledger address must be sqlite:///path/to/runbookd.db, a file")
    # Two names of one file must lead to one lock.
    return address.set(drivername="sqlite+aiosqlite", database=str(Path(str(address.database)).resolve()))


def _lock(address: URL) -> int:
    """Take the ledger for this process; the operating system gives it back however the process ends."""
    file = Path(f"{address.database}.lock")
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerUnavailable(f"can not create {file}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise LedgerUnavailable(f"another remediator has the ledger {address.database}; only one may act") from None
    return descriptor


def _engine(address: URL) -> AsyncEngine:
    engine = create_async_engine(address)
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: Any) -> None:
    """Durable commits, and no transaction that the driver begins by itself: it would begin DEFERRED, which races."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN DEFERRED")
