"""The ledger in a PostgreSQL database, which several replicas use and one leads."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Self

import structlog
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.cancellation import defer_cancellation, wait_for_result
from remediator.ledger.outdated import OUTDATED_LEDGER, pause_as_outdated
from remediator.ledger.postgresql.clock import DatabaseClock
from remediator.ledger.postgresql.connection import create_engine
from remediator.ledger.postgresql.delivery_writer import DeliveryWriter
from remediator.ledger.postgresql.doubt import CRASHES, TIMELINE
from remediator.ledger.postgresql.leader import PostgresLeader
from remediator.ledger.postgresql.lease import END_TERM_OF_ANY, TTL, Candidate, Term, read_leader
from remediator.ledger.postgresql.origin import readable_origin
from remediator.ledger.postgresql.start_check import check_start
from remediator.ledger.postgresql.transactions import Fence, MissingHistory, Premises, Transactions
from remediator.ledger.protocol import STEP_ROWS, SYSTEM_IDENTIFIER, LeaderInfo, ServerIdentity
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

    ttl = TTL

    def __init__(self, address: PostgresAddress, ttl: timedelta | None = None) -> None:
        self.address = address
        self.clock = DatabaseClock()
        self._engine = create_engine(address)
        self._transactions = Transactions(self._engine)
        self._write_lock = asyncio.Lock()
        self._candidate = Candidate(self._transactions, ttl or self.ttl, self.clock.now)
        self._delivery_writer: DeliveryWriter | None = None
        self._newest: audit.Head | None = None
        """The newest row of the audit trail that this process knows to be committed."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """See Ledger. The database is only migrated by `runbookctl ledger migrate`.

        Raises:
            LedgerUnavailable: it cannot be used as it is.
        """
        try:
            await self._prepare()
            async with self.clock.kept(self._transactions):
                self._delivery_writer = DeliveryWriter(self._store_deliveries)
                yield self
        finally:
            async with defer_cancellation():
                await wait_for_result(asyncio.create_task(self._close(), name="close the ledger"))

    async def _prepare(self) -> None:
        async with self._transactions.reading() as connection:
            await check_start(connection)
        self._candidate.origin = await readable_origin(self._transactions)
        if TIMELINE not in self._candidate.origin:
            self._transactions.history = CRASHES
        async with self._transactions.unlocked():
            pass  # which requires the settings that a commit needs

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[PostgresLeader | None]:
        """See Ledger. The lease is renewed in the block, and given up at its end."""
        await self._look()
        term = await self._candidate.run_for_election()
        if term is None:
            yield None
            return
        renewal = asyncio.create_task(term.keep(partial(self._look, term.fence)), name="ledger lease")
        try:
            yield PostgresLeader(self, term)
        finally:
            async with defer_cancellation():
                await wait_for_result(asyncio.create_task(self._end(term, renewal), name="give up the lease"))

    async def _look(self, fence: Fence | None = None) -> None:
        """Learn the newest row of the trail. A leader that finds the last one it knew also vouches for the server.

        Raises:
            MissingHistory: the leader does not find it; the ledger is paused now, and the term over.
        """
        known = self._newest  # before the snapshot, or it would be newer
        async with self._transactions.reading() as connection:
            newest = await audit.newest(connection)
            is_there = known is None or await audit.is_in_place(connection, known)
            has_moved = fence is not None and await self._candidate.has_moved(connection)
        if not is_there:
            await self._pause_as_outdated()
            if fence is not None:
                raise MissingHistory(f"the ledger: {OUTDATED_LEDGER}")
            return
        if newest.id:
            self._newest = newest
        if has_moved:
            async with self.write_in(fence) as connection:
                await self._candidate.note_origin(connection)

    async def _pause_as_outdated(self) -> None:
        """Pause, and end the term: what its leader remembers may be of runs that no longer exist."""
        async with self._write_lock, self._transactions.locked() as connection:
            audit.begin(connection)
            await pause_as_outdated(connection, self.clock.now(), OUTDATED_LEDGER)
            await connection.execute(END_TERM_OF_ANY, {"holder": self._candidate.name})
            newest = await audit.newest(connection)
        self._newest = newest

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See Ledger."""
        async with self.write_in(None) as connection:
            yield connection

    @asynccontextmanager
    async def write_in(self, fence: Fence | None) -> AsyncIterator[AsyncConnection]:
        """Write as the leader of a term, or as a replica. One writer of this process competes for the database's lock.

        Raises:
            Fenced: the term is over.
            MissingHistory: the ledger is older than this process knows; it is paused now.
        """
        if self._delivery_writer is None:
            raise LedgerUnavailable("the ledger is not open")
        try:
            async with self._write_lock:
                premises = Premises(fence, self._newest)
                async with self._transactions.locked(premises) as connection:
                    audit.begin(connection)
                    yield connection
                    appended = audit.newest_appended(connection)
                self._newest = appended or self._newest
        except MissingHistory:
            await self._pause_as_outdated()
            raise

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

    async def leader(self, connection: AsyncConnection) -> LeaderInfo | None:
        """See Ledger."""
        return await read_leader(connection)

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

    async def _end(self, term: Term, renewal: asyncio.Task[None]) -> None:
        renewal.cancel()
        with suppress(asyncio.CancelledError):
            await renewal
        async with self._write_lock:  # a transaction that is under way must end in its term
            await term.resign()

    async def _close(self) -> None:
        delivery_writer, self._delivery_writer = self._delivery_writer, None
        if delivery_writer is not None:
            await delivery_writer.close()
        await self._transactions.wait_for_end()
        await self._engine.dispose()
