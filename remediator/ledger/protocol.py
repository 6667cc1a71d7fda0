"""The interface of a ledger; the tables (schema.py) are the same for every database."""

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


class Ledger(Protocol):
    """The durable store.

    Every method raises LedgerUnavailable, without effect, if the ledger cannot be read or written.

    A task may be cancelled anywhere: a transaction that has not committed leaves nothing behind, not even a lock.
    """

    def open(self) -> AbstractAsyncContextManager[Self]:
        """Lock the ledger for this process until the block ends, creating or upgrading it first."""

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

    async def server_identity(self) -> ServerIdentity | None:
        """Return what tells the server of the ledger apart from others, or None if the ledger needs no server."""
