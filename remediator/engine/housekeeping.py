"""What is done now and then, however much there is to do besides: ends what has vanished, forgets what is old."""

import asyncio

from remediator.context import Context
from remediator.intake.vanished import CHECK_SECONDS, VanishedEpisodeDetector
from remediator.ledger import retention

RETENTION_SECONDS = 3_600.0
FIRST_RETENTION_SECONDS = 600.0  # after the start: a machine that has just booted may be years ahead until it is told
RETENTION_PACE_SECONDS = 1.0  # between two steps, so that others get the writer's turn


class Housekeeping:
    """Asked at each round of the engine; `next_vanished_check` and `next_retention` are on the event loop's clock."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._vanished_detector = VanishedEpisodeDetector(context)
        self.next_vanished_check = 0.0
        self.next_retention: float | None = None

    async def run_due(self) -> None:
        """Do what is due.

        Raises:
            LedgerUnavailable: the rest is for the next round.
        """
        now = asyncio.get_running_loop().time()
        if now >= self.next_vanished_check:
            self.next_vanished_check = now + CHECK_SECONDS
            await self._vanished_detector.check()
        if self.next_retention is None:
            self.next_retention = now + FIRST_RETENTION_SECONDS
        if now >= self.next_retention:
            self.next_retention = now + RETENTION_SECONDS
            if await retention.delete_expired(self._context.ledger, self._context.clock.now()):
                self.next_retention = now + RETENTION_PACE_SECONDS
