"""The ledger in one SQLite file, which one process has at a time."""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from remediator.errors import LedgerUnavailable
from remediator.ledger.clerk import Clerk
from remediator.ledger.migrate import migrate
from remediator.ledger.patient import cancelled_afterwards, connecting_to
from remediator.ledger.schema import microseconds

BUSY_TIMEOUT_MILLISECONDS = 5_000
_HASTY = ("busy_timeout = 0", "wal_autocheckpoint = 0")  # it holds up the event loop: others wait, and tidy up, for it


class SqliteLedger:
    """See Ledger. Writers wait for each other in this process; readers never wait.

    Deliveries have a connection and a thread of their own; see Clerk.
    """

    def __init__(self, url: str) -> None:
        """Take the address `sqlite:///file`; nothing is opened yet.

        Raises:
            LedgerUnavailable: it is no such address.
        """
        self._address = _address(url)
        self._engine = _engine(self._address)
        self._writing = asyncio.Lock()
        self._clerk: Clerk | None = None
        self._under_way = 0
        self._quiet = asyncio.Event()

    @property
    def file(self) -> Path:
        return Path(str(self._address.database))

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """See Ledger.

        Raises:
            LedgerUnavailable: it can not be opened, is no ledger or a damaged one, or another process has it.
        """
        lock = _lock(self.file)
        try:
            await self._prepare()
            self._clerk = Clerk(self._for_deliveries(), self._for_deliveries(*_HASTY), self._writing)
            yield self
        finally:
            clerk, self._clerk = self._clerk, None
            if clerk is not None:
                await clerk.close()
            await self._until_quiet()
            await self._engine.dispose()
            os.close(lock)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger; begun IMMEDIATE, which excludes other writers from its first statement on."""
        async with self._writing, self._transaction(immediate=True) as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger."""
        async with self._transaction(immediate=False) as connection:
            yield connection

    async def accept(self, received: datetime, body: bytes) -> None:
        """See Ledger."""
        if self._clerk is None:
            raise LedgerUnavailable("the ledger: it is not open")
        await self._clerk.keep((microseconds(received), body))

    @asynccontextmanager
    async def _transaction(self, *, immediate: bool) -> AsyncIterator[AsyncConnection]:
        self._under_way += 1
        self._quiet.clear()
        try:
            async with cancelled_afterwards(), self._engine.connect() as plain:
                connection = await plain.execution_options(immediate=immediate)
                async with connection.begin():
                    yield connection
        except DBAPIError as error:
            raise LedgerUnavailable(f"the ledger: {error.orig}") from error
        except NoConnection:
            raise LedgerUnavailable("the ledger: too many readers at once") from None
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def _until_quiet(self) -> None:
        """A connection that comes back after the others have been closed would never be."""
        while self._under_way:
            await self._quiet.wait()

    def _for_deliveries(self, *pragmas: str) -> sqlite3.Connection:
        connection = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False)
        _configure(connection, None)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    async def _prepare(self) -> None:
        try:
            async with self.read() as connection:
                await _refuse_damage(connection)
            async with self.write() as connection:
                await connection.run_sync(migrate)
        except LedgerUnavailable as error:
            raise LedgerUnavailable(f"{self.file}: {error}") from None


async def _refuse_damage(connection: AsyncConnection) -> None:
    """A damaged file may lack the very row that would have stopped us."""
    found = (await connection.exec_driver_sql("PRAGMA quick_check(1)")).scalar_one()
    if found != "ok":
        raise LedgerUnavailable(f"it is damaged ({found}); restore it, or move it away to begin a new one")


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise LedgerUnavailable(f"{url!r} is no ledger address; write sqlite:///path/to/runbookd.db") from None
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        raise LedgerUnavailable("the ledger address must be sqlite:///path/to/runbookd.db, a file")
    # Two names of one file must lead to one lock.
    return address.set(drivername="sqlite+aiosqlite", database=str(Path(str(address.database)).resolve()))


def _lock(ledger: Path) -> int:
    """Take the ledger for this process; the operating system gives it back however the process ends."""
    file = Path(f"{ledger}.lock")
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerUnavailable(f"can not create {file}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise LedgerUnavailable(f"another remediator has the ledger {ledger}; only one may act") from None
    return descriptor


def _engine(address: URL) -> AsyncEngine:
    engine = create_async_engine(address, async_creator=connecting_to(Path(str(address.database))))
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
