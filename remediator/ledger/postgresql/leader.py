"""The ledger in a PostgreSQL database as its leader uses it: every write belongs to the leader's term.

No leader begins an effect after its lease has ended, but an effect may last longer than the lease. So each intent
records until when its effect may last at the latest: the end of the lease as it was then known, plus the time limit of
the effect. The next leader leaves the run alone until that moment. Both are counted by the clock of the database.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.postgresql.lease import ANNOUNCE, Term, microseconds
from remediator.ledger.postgresql.transactions import NOW, Fence, Fenced, MissingHistory
from remediator.ledger.protocol import LeaderInfo, LeaderLedger, Ledger, ServerIdentity

END_SECONDS = 5.0  # in which an effect ends that has reached its time limit
_ACT = text(
    f"WITH ended AS (DELETE FROM acting WHERE until <= {NOW} AND run <> :run)"
    " INSERT INTO acting (run, term, until)"
    f" SELECT :run, term, greatest(expires_at, {NOW}) + :limit FROM leader"
    " ON CONFLICT (run) DO UPDATE SET term = excluded.term, until = excluded.until"
)
_ACTING = text(
    f"SELECT run FROM acting WHERE term <> :term AND until > {NOW}"
    " AND EXISTS (SELECT FROM item WHERE item.run = acting.run AND item.state = 'intended')"
)


class FencedLedger(Ledger, Protocol):
    """A ledger that also writes in a term."""

    def write_in(self, fence: Fence | None) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a transaction of `write` that fails if the term of `fence` is over."""


@dataclass(frozen=True)
class LeasePermit:
    """The right to begin an effect, while the lease lasts as it was known when the intent was recorded."""

    term: Term
    trusted_until: float

    def require(self) -> None:
        """See EffectPermit. A later renewal does not prolong it: the next leader counts from the record."""
        self.term.require(self.trusted_until)


class PostgresLeader:
    """A ledger in the term of its leader; see LeaderLedger."""

    def __init__(self, ledger: FencedLedger, term: Term) -> None:
        self._ledger = ledger
        self.term = term

    def open(self) -> AbstractAsyncContextManager[Self]:
        """Refuse: a term is led in a ledger that is open."""
        raise AssertionError("the ledger of a term is open")

    def lead(self) -> AbstractAsyncContextManager[LeaderLedger | None]:
        """See Ledger."""
        return self._ledger.lead()

    @property
    def is_trusted(self) -> bool:
        """See LeaderLedger."""
        return self.term.is_trusted

    async def wait_for_loss(self) -> None:
        """See LeaderLedger."""
        await self.term.wait_for_loss()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See LeaderLedger."""
        try:
            async with self._ledger.write_in(self.term.fence) as connection:
                yield connection
        except (Fenced, MissingHistory):
            self.term.lose()
            raise

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """See Ledger."""
        return self._ledger.read()

    async def accept(self, received_at: datetime, body: bytes) -> None:
        """See Ledger."""
        await self._ledger.accept(received_at, body)

    async def cut_trail(self, connection: AsyncConnection, now: datetime) -> int:
        """See Ledger."""
        return await self._ledger.cut_trail(connection, now)

    async def leader(self, connection: AsyncConnection) -> LeaderInfo | None:
        """See Ledger."""
        return await self._ledger.leader(connection)

    async def announce(self, inventory: str) -> None:
        """See LeaderLedger."""
        async with self.write() as connection:
            await connection.execute(ANNOUNCE, {"inventory": inventory})

    async def server_identity(self) -> ServerIdentity | None:
        """See Ledger."""
        return await self._ledger.server_identity()

    async def permit_effect(self, connection: AsyncConnection, run: int, limit: timedelta) -> LeasePermit:
        """See LeaderLedger. The trust is read before the record, which may only name a later end."""
        permit = LeasePermit(self.term, self.term.trusted_until)
        span = microseconds(limit + timedelta(seconds=END_SECONDS))
        await connection.execute(_ACT, {"run": run, "limit": span})
        return permit

    async def acting_elsewhere(self, connection: AsyncConnection) -> Collection[int]:
        """See LeaderLedger."""
        rows = await connection.execute(_ACTING, {"term": self.term.fence.term})
        return frozenset(rows.scalars())
