"""The leadership of a ledger that only one process can open: it leads at once, and until its end."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.protocol import LeaderInfo


class UnlimitedPermit:
    """A permit that does not lapse: nobody else can act."""

    def require(self) -> None:
        """See EffectPermit."""


class AlwaysLeading:
    """The part of a LeaderLedger that is more than a Ledger; see there."""

    is_trusted = True

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[Self]:
        """See Ledger."""
        yield self

    async def leader(self, _connection: AsyncConnection) -> LeaderInfo | None:
        """See Ledger."""
        return None

    async def announce(self, _inventory: str) -> None:
        """See LeaderLedger."""

    async def wait_for_loss(self) -> None:
        """See LeaderLedger."""
        await asyncio.Event().wait()

    async def permit_effect(self, _connection: AsyncConnection, _run: int, _limit: timedelta) -> UnlimitedPermit:
        """See LeaderLedger."""
        return UnlimitedPermit()

    async def acting_elsewhere(self, _connection: AsyncConnection) -> Collection[int]:
        """See LeaderLedger. The lock of the file ends with the process, and so do its effects."""
        return ()
