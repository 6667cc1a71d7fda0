"""The engine of a simulation whose messages are not played: it leaves out the rounds in which it would find no work."""

from datetime import datetime

from remediator.context import LeaderContext
from remediator.engine.engine import TICK_SECONDS, Engine
from remediator.ledger.sqlite.memory import MemoryLedger
from remediator.simulation.next_work import seconds_until_work


class QuickEngine(Engine):
    """An engine that a month of alerts does not wake for nothing."""

    def __init__(self, context: LeaderContext, ledger: MemoryLedger) -> None:
        super().__init__(context, self._seconds_until_work)
        self._clock, self._ledger = context.clock, ledger
        self._known: tuple[datetime, int, float] | None = None

    async def tick(self) -> None:
        """See Engine. A round that is about to be due is run now, as one of the live engine may be."""
        if self.gate.waiting or await self._seconds_until_work() <= TICK_SECONDS:
            await super().tick()

    async def _seconds_until_work(self) -> float:
        """Return how long there is nothing to do; what is known of this moment holds until something is written."""
        now, writes = self._clock.now(), self._ledger.writes
        if self._known is None or self._known[:2] != (now, writes):
            self._known = now, writes, await seconds_until_work(self._context, self, with_messages=False)
        return self._known[2]
