"""The ledger in one SQLite file, used by one process at a time."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import structlog
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from remediator.ledger import audit
from remediator.ledger.always_leading import AlwaysLeading
from remediator.ledger.cancellation import defer_cancellation, wait_for_result
from remediator.ledger.outdated import OUTDATED_LEDGER, pause_as_outdated
from remediator.ledger.protocol import ServerIdentity
from remediator.ledger.schema import to_microseconds
from remediator.ledger.sqlite.delivery_writer import DeliveryWriter
from remediator.ledger.sqlite.file_watch import LedgerFiles
from remediator.ledger.sqlite.integrity import REMEDY, check_in_background, require_intact
from remediator.ledger.sqlite.lock_file import LedgerLock
from remediator.ledger.sqlite.migrate import migrate
from remediator.ledger.sqlite.trail import cut_trail
from remediator.ledger.sqlite.uncancellable import connection_factory
from remediator.model.clock import SystemClock
from remediator.model.errors import LedgerUnavailable

BUSY_TIMEOUT_MILLISECONDS = 5_000
WAL_BYTES = 64 * 1024 * 1024  # the write-ahead log is cut to this after a long reader or a flood
log = structlog.get_logger(__name__)


class SqliteLedger(AlwaysLeading):
    """A ledger in a SQLite file; see Ledger.

    Writers queue in this process; readers never wait.

    Deliveries have their own connection and thread; see DeliveryWriter.
    """

    def __init__(self, url: str) -> None:
        """Take the address `sqlite:///file`, without opening it.

        Raises:
            LedgerUnavailable: the address is invalid.
        """
        self._address = _address(url)
        self._engine = _engine(self._address)
        self._writer_queue, self._write_lock = asyncio.Lock(), asyncio.Lock()
        self._files = LedgerFiles(self.file)
        self._damage: str | None = None
        self._lock: LedgerLock | None = None
        self._delivery_writer: DeliveryWriter | None = None
        self._open_transactions = 0
        self._no_transactions = asyncio.Event()

    @property
    def file(self) -> Path:
        """The path of the file."""
        return Path(str(self._address.database))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """See Ledger.

        Raises:
            LedgerUnavailable: the file cannot be opened, is not a ledger, is damaged, or another process has it.
        """
        lock = LedgerLock(self.file)
        _create_file(self.file)
        self._files, self._damage = LedgerFiles(self.file), None
        try:
            self._lock = lock
            await self._prepare(lock)
            self._delivery_writer = DeliveryWriter(self._delivery_connection(), self._write_lock, self._fault)
            async with check_in_background(self.file, self._record_damage):
                yield self
        finally:
            async with defer_cancellation():
                await wait_for_result(asyncio.create_task(self._close(lock), name="close the ledger"))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger. BEGIN IMMEDIATE excludes other writers from the first statement on.

        Only one queued writer at a time competes with deliveries: a thousand runs must not delay them.
        """
        async with self._writer_queue, self._write_lock, self._transaction(immediate=True) as connection:
            audit.begin(connection)
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger."""
        async with self._transaction(immediate=False) as connection:
            yield connection

    async def accept(self, received_at: datetime, body: bytes) -> None:
        """See Ledger."""
        if self._delivery_writer is None:
            raise LedgerUnavailable("the ledger is not open")
        await self._delivery_writer.write((to_microseconds(received_at), body))

    async def cut_trail(self, connection: AsyncConnection, now: datetime) -> int:
        """See Ledger."""
        return await cut_trail(connection, now)

    async def server_identity(self) -> ServerIdentity | None:
        """See Ledger."""
        return None

    @asynccontextmanager
    async def _transaction(self, *, immediate: bool) -> AsyncIterator[AsyncConnection]:
        if self._lock is None:  # another process may have the ledger
            raise LedgerUnavailable("the ledger is not open")
        self._open_transactions += 1
        self._no_transactions.clear()
        try:
            async with defer_cancellation(), self._engine.connect() as engine_connection:
                connection = await engine_connection.execution_options(immediate=immediate)
                async with connection.begin():
                    self._raise_on_fault()
                    yield connection
                self._raise_on_fault()
                if immediate:
                    self._record_head(connection)  # committed, so before a cancellation is raised
        except DBAPIError as error:
            raise LedgerUnavailable(f"the ledger: {error.orig}") from error
        except NoConnection:
            raise LedgerUnavailable("the ledger: too many readers at once") from None
        finally:
            self._open_transactions -= 1
            if not self._open_transactions:
                self._no_transactions.set()

    def _record_head(self, connection: AsyncConnection) -> None:
        head = audit.newest_appended(connection)
        if head is not None and self._lock is not None:
            self._lock.write_hash(head.hash)

    async def _close(self, lock: LedgerLock) -> None:
        self._lock, delivery_writer, self._delivery_writer = None, self._delivery_writer, None
        try:
            if delivery_writer is not None:
                await delivery_writer.close()
            await self._wait_for_transactions()
            await self._engine.dispose()
        finally:
            lock.close()

    async def _wait_for_transactions(self) -> None:
        """Wait for all connections: one returned after the disposal would never be closed."""
        while self._open_transactions:
            await self._no_transactions.wait()

    def _fault(self) -> str | None:
        """Return why a write would not count now, or None."""
        return self._damage or self._files.replacement_error()

    def _raise_on_fault(self) -> None:
        fault = self._fault()
        if fault is not None:
            raise LedgerUnavailable(f"the ledger: {fault}")

    def _record_damage(self, damage: str) -> None:
        self._damage = damage
        log.error("the ledger is unavailable until the next start", file=str(self.file), reason=damage)

    def _delivery_connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False)
        _configure(connection, None)
        return connection

    async def _prepare(self, lock: LedgerLock) -> None:
        try:
            async with self.read() as connection:
                await require_intact(connection)
            async with self.write() as connection:
                await connection.run_sync(migrate)
            self._files.remember()
            await self._pause_if_outdated(lock.read_hash())
        except LedgerUnavailable as error:
            remedy = (
                f"; {REMEDY}" if isinstance(error.__cause__, DatabaseError) and _is_damaged(error.__cause__) else ""
            )
            raise LedgerUnavailable(f"{self.file}: {error}{remedy}") from None

    async def _pause_if_outdated(self, recorded_hash: str | None) -> None:
        """Pause if the ledger lacks the last audit hash recorded here: effects may be missing."""
        async with self.read() as connection:
            if recorded_hash is None or await audit.contains(connection, recorded_hash):
                return
        async with self.write() as connection:
            await pause_as_outdated(connection, SystemClock().now(), OUTDATED_LEDGER)


def _is_damaged(error: DatabaseError) -> bool:
    """Return whether SQLite reports that the file is not a database or is corrupt."""
    return getattr(error.orig, "sqlite_errorcode", None) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise LedgerUnavailable(f"invalid ledger address {url!r}; set sqlite:///path/to/runbookd.db") from None
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        raise LedgerUnavailable("the ledger address must be sqlite:///path/to/runbookd.db, a file")
    # Resolved, so that two paths to one file lead to one lock.
    return address.set(drivername="sqlite+aiosqlite", database=str(Path(str(address.database)).resolve()))


def _create_file(ledger: Path) -> None:
    """Create the file readable only by its owner; the -wal follows.

    Alerts and plans may hold personal data.
    """
    with suppress(OSError):  # opening it reports the error
        os.close(os.open(ledger, os.O_CREAT | os.O_CLOEXEC, 0o600))


def _engine(address: URL) -> AsyncEngine:
    engine = create_async_engine(address, async_creator=connection_factory(Path(str(address.database))))
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: Any) -> None:
    """Configure durable commits."""
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}",
        f"journal_size_limit = {WAL_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN DEFERRED")
