"""The lease of the ledger: which process may write it, until when, and in which term.

The database issues a term and measures its time, so the clocks of the machines do not matter. Each election raises the
term, and every write is made in the term of its process: a process that stood still while another was elected writes
nothing more. No lock of a session is needed, so the lease also holds behind a pooler in transaction mode.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.postgresql.transactions import FENCED, Transactions
from remediator.ledger.schema import from_microseconds
from remediator.model.errors import LedgerUnavailable

TTL = timedelta(seconds=15)
RENEWALS = 3  # per TTL
MARGIN = 0.1  # of the TTL: a holder stops trusting its lease so much earlier than the database ends it
POLLS = 30  # per TTL, while waiting for the end of a lease that nobody renews
_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_ELECT = text(
    f"UPDATE leader SET term = term + 1, holder = :holder, elected_at = {_NOW}, expires_at = {_NOW} + :ttl"
    f" WHERE holder IS NULL OR expires_at <= {_NOW} RETURNING term, elected_at"
)
_RENEW = text(f"UPDATE leader SET expires_at = {_NOW} + :ttl WHERE term = :term AND holder = :holder")
_RESIGN = text(f"UPDATE leader SET holder = NULL, expires_at = {_NOW} WHERE term = :term AND holder = :holder")
_READ = text("SELECT term, holder, elected_at, expires_at FROM leader")
log = structlog.get_logger(__name__)


class Leader(NamedTuple):
    """The row of the table."""

    term: int
    holder: str | None
    elected_at: int
    expires_at: int


@dataclass(frozen=True)
class Term:
    """A term that this process has won: its number, and when it was elected by the database's clock."""

    number: int
    elected_at: datetime


class Lease:
    """The lease of one process. It is renewed while `held` is open, and given up at its end."""

    def __init__(self, transactions: Transactions, ttl: timedelta = TTL) -> None:
        self._transactions = transactions
        self._ttl = ttl
        self.holder = f"{socket.gethostname()}, process {os.getpid()} ({secrets.token_hex(4)})"
        self.term: Term | None = None
        self.lost: str | None = None
        """Why this process may no longer write, or None."""
        self._trusted_until = 0.0

    @property
    def is_trusted(self) -> bool:
        """Whether no other process can have been elected yet, by this process' own monotonic clock."""
        return self.lost is None and _monotonic() < self._trusted_until

    async def elect(self) -> None:
        """Win a term, once the last holder has given its own up or has stopped renewing it.

        Raises:
            LedgerUnavailable: another process renews its lease.
        """
        first: Leader | None = None
        while not await self._try():
            async with self._transactions.reading() as connection:
                leader = await _read(connection)
            if first is not None and _is_renewed(first, leader):
                raise LedgerUnavailable(_held(leader))
            if first is None:
                log.info("waiting whether the holder of the ledger's lease still renews it", holder=leader.holder)
            first = first or leader
            await asyncio.sleep(self._ttl.total_seconds() / POLLS)

    async def _try(self) -> bool:
        begun = _monotonic()
        async with self._transactions.locked() as connection:  # so that no write of an earlier term is under way
            row = (await connection.execute(_ELECT, {"holder": self.holder, "ttl": self._microseconds})).one_or_none()
        if row is None:
            return False
        self.term, self.lost = Term(row.term, from_microseconds(row.elected_at)), None
        self._trust(begun)
        log.info("elected as the only writer of the ledger", term=row.term, holder=self.holder)
        return True

    async def keep(self, report_loss: Callable[[str], None]) -> None:
        """Renew the lease until it is lost."""
        pause = self._ttl.total_seconds() / RENEWALS
        while self.lost is None:
            await asyncio.sleep(pause)
            try:
                renewed = await self._renew()
            except Exception as error:  # the database decides who has the lease once it answers again
                log.warning("the ledger's lease is not renewed, retrying", reason=str(error))
                continue
            if not renewed:
                self.lost = FENCED
                report_loss(FENCED)

    async def _renew(self) -> bool:
        begun = _monotonic()
        async with self._transactions.unlocked() as connection:
            result = await connection.execute(_RENEW, {**self._key, "ttl": self._microseconds})
        if result.rowcount == 1:
            self._trust(begun)
        return bool(result.rowcount == 1)

    async def resign(self) -> None:
        """Give the term up, so that the next process need not wait for its end."""
        if self.term is None or self.lost is not None:
            return
        try:
            async with self._transactions.unlocked() as connection:
                await connection.execute(_RESIGN, self._key)
        except LedgerUnavailable as error:
            log.warning("the ledger's lease is not given up; it ends by itself", reason=str(error))
        self._trusted_until = 0.0

    def _trust(self, begun: float) -> None:
        """Trust the term from the moment before its statement was sent: the database counts from a later one."""
        self._trusted_until = begun + self._ttl.total_seconds() * (1 - MARGIN)

    @property
    def _key(self) -> dict[str, object]:
        return {"term": self.term.number if self.term is not None else None, "holder": self.holder}

    @property
    def _microseconds(self) -> int:
        return self._ttl // timedelta(microseconds=1)


async def _read(connection: AsyncConnection) -> Leader:
    return Leader(*(await connection.execute(_READ)).one())


def _is_renewed(first: Leader, later: Leader) -> bool:
    """Return whether a process has renewed the lease or won it in between; its end is not a renewal."""
    return later.holder is not None and (later.term, later.expires_at) != (first.term, first.expires_at)


def _held(leader: Leader) -> str:
    since = f"{from_microseconds(leader.elected_at):%Y-%m-%d %H:%M:%S} UTC"
    return f"another remediator ({leader.holder}) has the ledger since {since}; stop it: only one may act"


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
