"""The lease of the ledger: which process leads, until when, and in which term.

The database issues a term and measures its time, so the clocks of the machines do not matter. Each election raises the
term, and every write of a leader is made in its term: a process that stood still while another was elected writes
nothing more. No lock of a session is needed, so the lease also holds behind a pooler in transaction mode.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.outdated import MOVED_LEDGER, pause_as_outdated
from remediator.ledger.postgresql.transactions import FENCED, NOW, Fence, Fenced, MissingHistory, Transactions
from remediator.ledger.protocol import LeaderInfo
from remediator.ledger.schema import from_microseconds
from remediator.model.errors import LedgerUnavailable

TTL = timedelta(seconds=12)  # with the polls of the others, a dead leader is replaced within 15 s
RENEWALS = 3  # per TTL
MARGIN = 0.1  # of the TTL: a leader stops trusting its lease so much earlier than the database ends it
# A process knows its own name from an election whose commit it did not see: such a term is raised, never continued.
# A lease that nobody has renewed for its whole length is free as well, whatever the database's clock says since: it may
# have been set back.
_IS_FREE = (
    f"(holder IS NULL OR holder = :holder OR expires_at <= {NOW}"
    " OR (term = :abandoned_term AND expires_at = :abandoned_end))"
)
_ASK = text(f"SELECT {_IS_FREE} AS is_free, term, expires_at FROM leader")
_ELECT = text(
    f"UPDATE leader SET term = term + 1, holder = :holder, elected_at = {NOW}, expires_at = {NOW} + :ttl"
    f" WHERE {_IS_FREE} RETURNING term"
)
_RENEW = text(f"UPDATE leader SET expires_at = {NOW} + :ttl WHERE term = :term AND holder = :holder")
_RESIGN = text(f"UPDATE leader SET holder = NULL, expires_at = {NOW} WHERE term = :term AND holder = :holder")
# A holder that has not noticed its end may trust its lease until then, so that nobody is elected before.
ENDED = "(nobody: the term was ended)"
END_TERM_OF_ANY = text(
    "UPDATE leader SET term = term + 1,"
    f" expires_at = CASE WHEN holder = :holder THEN {NOW} ELSE expires_at END,"
    f" holder = CASE WHEN holder <> :holder THEN '{ENDED}' END"
)
END_TERM = text(f"UPDATE leader SET term = term + 1, holder = NULL, expires_at = {NOW}")
ANNOUNCE = text("UPDATE leader SET inventory = :inventory")
_READ = text(f"SELECT holder, elected_at, inventory FROM leader WHERE holder <> '{ENDED}' AND expires_at > {NOW}")
_SET_ORIGIN = text("UPDATE leader SET origin = :origin")
log = structlog.get_logger(__name__)


class Term:
    """A term that this process has won. It may be lost at any time; only the database knows."""

    def __init__(self, transactions: Transactions, fence: Fence, ttl: timedelta, begun: float) -> None:
        """Take the moment before the election was sent, from which this process counts."""
        self.fence = fence
        self._transactions = transactions
        self._ttl = ttl
        self._lost = asyncio.Event()
        self.trusted_until = 0.0
        self._trust(begun)

    @property
    def is_trusted(self) -> bool:
        """Whether no other process can have been elected yet, by this process' own monotonic clock."""
        return not self.is_lost and seconds_awake_or_asleep() < self.trusted_until

    @property
    def is_lost(self) -> bool:
        """Whether another process was elected, as far as this one knows."""
        return self._lost.is_set()

    async def wait_for_loss(self) -> None:
        """Wait until another process was elected."""
        await self._lost.wait()

    def lose(self) -> None:
        """Note that another process was elected."""
        if not self.is_lost:
            log.error("this remediator leads no longer", reason=FENCED, term=self.fence.term)
        self._lost.set()

    async def keep(self, look: Callable[[], Awaitable[None]]) -> None:
        """Renew the lease until it is lost, and look at the ledger after each renewal."""
        while not self.is_lost:
            await asyncio.sleep(self._ttl.total_seconds() / RENEWALS)
            try:
                if not await self.renew():
                    self.lose()
                await look()
            except MissingHistory:  # the look has ended the term
                self.lose()
            except Exception as error:  # the database decides who has the lease once it answers again
                log.warning("the ledger does not answer; its lease is renewed later", reason=str(error))

    async def renew(self) -> bool:
        """Prolong the lease by its length; return False if the term is over."""
        begun = seconds_awake_or_asleep()
        async with self._transactions.unlocked() as connection:
            result = await connection.execute(_RENEW, {**self.fence._asdict(), "ttl": microseconds(self._ttl)})
        if result.rowcount == 1:
            self._trust(begun)
        return bool(result.rowcount == 1)

    async def resign(self) -> None:
        """Give the term up, so that the next leader need not wait for its end."""
        self.trusted_until = 0.0
        if self.is_lost:
            return
        try:
            async with self._transactions.unlocked() as connection:
                await connection.execute(_RESIGN, self.fence._asdict())
            log.info("leads no longer", term=self.fence.term)
        except LedgerUnavailable as error:
            log.warning("the ledger's lease is not given up; it ends by itself", reason=str(error))

    def require(self, trusted_until: float) -> None:
        """Refuse what may no longer begin.

        Raises:
            Fenced: the lease may have ended, as it was known at `trusted_until`.
        """
        if self.is_lost or seconds_awake_or_asleep() >= trusted_until:
            raise Fenced(FENCED)

    def _trust(self, begun: float) -> None:
        """Trust the term from the moment before its statement was sent: the database counts from a later one."""
        self.trusted_until = begun + self._ttl.total_seconds() * (1 - MARGIN)


class Candidate:
    """This process in the elections of the ledger."""

    def __init__(self, transactions: Transactions, ttl: timedelta, now: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self.ttl = ttl
        self._now = now
        self.origin: Sequence[str] = ()
        """The expressions that tell where the rows of the ledger are."""
        self._seen: Sequence[int] = ()
        self._seen_at = 0.0
        self.name = f"{socket.gethostname()}, process {os.getpid()} ({secrets.token_hex(4)})"

    async def run_for_election(self) -> Term | None:
        """Win a term, if the last leader has given its own up or has stopped renewing it."""
        parameters = {"holder": self.name, **self._abandoned_lease()}
        async with self._transactions.reading() as connection:  # so that the others do not queue for the lock
            is_free, *seen = (await connection.execute(_ASK, parameters)).one()
        if seen != self._seen:
            self._seen, self._seen_at = seen, seconds_awake_or_asleep()
        if not is_free:
            return None
        begun = seconds_awake_or_asleep()
        async with self._transactions.locked() as connection:  # so that no write of an earlier term is under way
            parameters["ttl"] = microseconds(self.ttl)
            number = (await connection.execute(_ELECT, parameters)).scalar_one_or_none()
            if number is not None:
                await self._begin_term(connection)
        if number is None:
            return None
        log.info("elected as the leader", term=number, holder=self.name)
        return Term(self._transactions, Fence(number, self.name), self.ttl, begun)

    def _abandoned_lease(self) -> dict[str, object]:
        """Return the lease that this process has seen unchanged for so long that its holder no longer trusts it."""
        is_abandoned = self._seen and seconds_awake_or_asleep() - self._seen_at >= self.ttl.total_seconds()
        term, end = self._seen if is_abandoned else (None, None)
        return {"abandoned_term": term, "abandoned_end": end}

    async def _begin_term(self, connection: AsyncConnection) -> None:
        """Pause if the rows have moved while nobody led who would know the newest of them."""
        audit.begin(connection)
        if await self.has_moved(connection):
            await pause_as_outdated(connection, self._now(), MOVED_LEDGER)
        await self.note_origin(connection)

    async def has_moved(self, connection: AsyncConnection) -> bool:
        """Return whether the rows were elsewhere when a leader last noted it."""
        before, now = (await connection.execute(self._origin)).one()
        return before not in (None, now)

    async def note_origin(self, connection: AsyncConnection) -> None:
        """Note where the rows are now."""
        _, now = (await connection.execute(self._origin)).one()
        await connection.execute(_SET_ORIGIN, {"origin": now})

    @property
    def _origin(self) -> TextClause:
        return text(f"SELECT origin, concat_ws('/', {', '.join(self.origin)}) FROM leader")


async def read_leader(connection: AsyncConnection) -> LeaderInfo | None:
    """Return which process leads, by the clock of the database."""
    row = (await connection.execute(_READ)).one_or_none()
    return None if row is None else LeaderInfo(row.holder, from_microseconds(row.elected_at), row.inventory)


def microseconds(span: timedelta) -> int:
    """Return a span as the database counts."""
    return span // timedelta(microseconds=1)


def seconds_awake_or_asleep() -> float:
    """Return the seconds since the machine started; nobody can set this clock, and it goes on while suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
