"""What a ledger is to everything else. Behind it stands a database; the tables are the same for each (schema.py)."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol, Self

from sqlalchemy.ext.asyncio import AsyncConnection


class Ledger(Protocol):
    """Every method raises LedgerUnavailable where the ledger can not be read or written; then nothing has happened.

    A task may be cancelled anywhere: a transaction that had not committed leaves nothing behind, no lock either.
    """

    def open(self) -> AbstractAsyncContextManager[Self]:
        """Have the ledger for this process, creating or upgrading it, until the block ends."""

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that sees no other writer: what it reads still holds when it commits.

        It is durable when the block has ended without an error. Admission counts on both.
        """

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that only reads, on one consistent snapshot, and waits for nobody."""

    async def accept(self, received_at: datetime, body: bytes) -> None:
        """Keep a delivery; it is durable on return. Calls at the same time may share a commit."""
