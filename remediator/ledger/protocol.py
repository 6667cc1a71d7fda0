"""The interface of a ledger; the tables (schema.py) are the same for every database."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol, Self

from sqlalchemy.ext.asyncio import AsyncConnection

RECORD_RETENTION = timedelta(days=400)
STEP_ROWS = 1_000  # that retention deletes per table and transaction


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
