"""The ledger in a PostgreSQL database, written by one process at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Self

import structlog
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.cancellation import defer_cancellation, wait_for_result
from remediator.ledger.postgresql.connection import create_engine
from remediator.ledger.postgresql.delivery_writer import DeliveryWriter
from remediator.ledger.postgresql.lease import TTL, Lease
from remediator.ledger.postgresql.start_check import check_start
from remediator.ledger.postgresql.transactions import Transactions
from remediator.ledger.protocol import STEP_ROWS, SYSTEM_IDENTIFIER, ServerIdentity
from remediator.ledger.schema import delivery, to_microseconds
from remediator.model.errors import LedgerUnavailable
from runbookd.addresses.postgres import PostgresAddress

_IDENTIFIER = text(SYSTEM_IDENTIFIER)
_CUT = text("SELECT cut_trail(:now, :step)")
log = structlog.get_logger(__name__)


class PostgresLedger:
    """A ledger in a PostgreSQL database; see Ledger.

    Writers queue in this process, then for the database's lock. Readers and deliveries never wait for them.
    """

    def __init__(self, address: PostgresAddress, ttl: timedelta = TTL) -> None:
        self.address = address
        self._engine = create_engine(address)
        self._transactions = Transactions(self._engine)
        self._write_lock = asyncio.Lock()
        self._lease = Lease(self._transactions, ttl)
        self._delivery_writer: DeliveryWriter | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """See Ledger. The database is only migrated by `runbookctl ledger migrate`.

        Raises:
            LedgerUnavailable: it cannot be used as it is, or another process has it.
        """
        renewal: asyncio.Task[None] | None = None
        try:
            async with self._transactions.reading() as connection:
                await check_start(connection)
            await self._lease.elect()
            renewal = asyncio.create_task(self._lease.keep(self._record_loss), name="ledger lease")
            self._delivery_writer = DeliveryWriter(self._store_deliveries)
            yield self
        finally:
            async with defer_cancellation():
                await wait_for_result(asyncio.create_task(self._close(renewal), name="close the ledger"))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger. Only one writer of this process at a time competes for the database's lock."""
        if self._lease.term is None:
            raise LedgerUnavailable("the ledger is not open")
        async with self._write_lock, self._transactions.locked(self._lease.term.number) as connection:
            audit.begin(connection)
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger."""
        async with self._transactions.reading() as connection:
            yield connection

    async def accept(self, received_at: datetime, body: bytes) -> None:
        """See Ledger. It needs no lease: the process that has it processes the delivery."""
        if self._delivery_writer is None:
            raise LedgerUnavailable("the ledger is not open")
        await self._delivery_writer.write(received_at, body)

    async def cut_trail(self, connection: AsyncConnection, now: datetime) -> int:
        """See Ledger. A function of the trail's owner does it: this role may not delete its rows."""
        deleted = await connection.execute(_CUT, {"now": to_microseconds(now), "step": STEP_ROWS})
        number = int(deleted.scalar_one())
        if number:
            await audit.note_appended(connection)
        return number

    async def server_identity(self) -> ServerIdentity | None:
        """See Ledger."""
        try:
            async with self._transactions.reading() as connection:
                identifier = str((await connection.execute(_IDENTIFIER)).scalar_one())
        except LedgerUnavailable as error:  # a managed service may not allow it
            log.info("the ledger's server does not tell its identifier", reason=str(error))
            return ServerIdentity(self.address.hosts)
        return ServerIdentity(self.address.hosts, identifier)

    async def _store_deliveries(self, rows: Sequence[dict[str, Any]]) -> None:
        async with self._transactions.unlocked() as connection:
            await connection.execute(insert(delivery), rows)

    async def _close(self, renewal: asyncio.Task[None] | None) -> None:
        delivery_writer, self._delivery_writer = self._delivery_writer, None
        if delivery_writer is not None:
            await delivery_writer.close()
        if renewal is not None:
            renewal.cancel()
            with suppress(asyncio.CancelledError):
                await renewal
            async with self._write_lock:  # a transaction that is under way must end in its term
                await self._lease.resign()
        self._lease.term = None
        await self._transactions.wait_for_end()
        await self._engine.dispose()

    def _record_loss(self, reason: str) -> None:
        log.error("the ledger is lost until the next start", reason=reason)
