"""The interface of a ledger; the tables (schema.py) are the same for every database.

There are two kinds of writers. Every replica has a Ledger, for deliveries and for what operators do. Only the leader
has a LeaderLedger, whose writes belong to its term: all that drives runs, sends messages or keeps house takes that
type, so that it cannot write in a term that is over.
"""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, Self

from sqlalchemy.ext.asyncio import AsyncConnection

RECORD_RETENTION = timedelta(days=400)
SYSTEM_IDENTIFIER = "SELECT system_identifier::text FROM pg_control_system()"  # the same in all servers of a cluster
STEP_ROWS = 1_000  # that retention deletes per table and transaction


@dataclass(frozen=True)
class ServerIdentity:
    """The addresses of a server, and the identifier of its cluster if the role may read it."""

    hosts: str
    system_identifier: str | None = None

    def is_same(self, other: "ServerIdentity") -> bool:
        """Return whether both are one cluster; addresses count where an identifier is missing."""
        if self.system_identifier is None or other.system_identifier is None:
            return self.hosts == other.hosts
        return self.system_identifier == other.system_identifier


@dataclass(frozen=True)
class LeaderInfo:
    """The replica that leads: its name, since when, and a fingerprint of its inventory."""

    name: str
    since: datetime
    inventory: str | None


class Ledger(Protocol):
    """The durable store.

    Every method raises LedgerUnavailable, without effect, if the ledger cannot be read or written.

    A task may be cancelled anywhere: a transaction that has not committed leaves nothing behind, not even a lock.
    """

    def open(self) -> AbstractAsyncContextManager[Self]:
        """Open the ledger until the block ends; one in a file is locked for this process, and created if missing."""

    def lead(self) -> "AbstractAsyncContextManager[LeaderLedger | None]":
        """Try to become the leader until the block ends; None while another process leads."""

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a transaction that excludes other writers: its reads still hold when it commits.

        It is durable once the block ends without an error. Admission relies on both.
        """

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a read-only transaction on a consistent snapshot, which never waits for writers."""

    async def accept(self, received_at: datetime, body: bytes) -> None:
        """Store a delivery durably. Concurrent calls may share a commit."""

    async def cut_trail(self, connection: AsyncConnection, now: datetime) -> int:
        """Delete audit rows older than RECORD_RETENTION in a transaction of `write`; return their number.

        Only rows at the beginning are deleted, at most STEP_ROWS, and the cut itself becomes a row.
        """

    async def leader(self, connection: AsyncConnection) -> LeaderInfo | None:
        """Return which replica leads, or None if none does or only one process can open the ledger."""

    async def server_identity(self) -> ServerIdentity | None:
        """Return what tells the server of the ledger apart from others, or None if the ledger needs no server."""


class EffectPermit(Protocol):
    """The right to begin one effect now."""

    def require(self) -> None:
        """Check it right before the effect begins.

        Raises:
            LedgerUnavailable: another process may be the leader by now.
        """


class LeaderLedger(Ledger, Protocol):
    """The ledger as its leader uses it: a transaction of `write` fails once another process was elected."""

    @property
    def is_trusted(self) -> bool:
        """Whether no other process can have been elected yet."""

    async def wait_for_loss(self) -> None:
        """Wait until another process was elected."""

    async def announce(self, inventory: str) -> None:
        """Let the other replicas know the fingerprint of the leader's inventory."""

    async def permit_effect(self, connection: AsyncConnection, run: int, limit: timedelta) -> EffectPermit:
        """Record in a transaction of `write` that an effect of `run` begins soon and lasts at most `limit`."""

    async def acting_elsewhere(self, connection: AsyncConnection) -> Collection[int]:
        """Return the runs of which a former leader may still carry out an effect; their outcome is not yet settled."""
