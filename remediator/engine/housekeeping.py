"""What is done now and then, however much there is to do besides: ends what has vanished, forgets what is old."""

import asyncio

from remediator.context import World
from remediator.intake.vanished import LOOK_SECONDS, Watch
from remediator.ledger import retention

FORGET_SECONDS = 3_600.0
FIRST_FORGETTING_SECONDS = 600.0  # after the start: a machine that has just booted may be years ahead until it is told
FORGET_PACE_SECONDS = 1.0  # between two steps, so that others get the writer's turn


class Housekeeping:
    """Asked at each round of the engine; `next_look` and `next_forgetting` are on the event loop's clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._watch = Watch(world)
        self.next_look = 0.0
        self.next_forgetting: float | None = None

    async def keep(self) -> None:
        """Do what is due.

        Raises:
            LedgerUnavailable: the rest is for the next round.
        """
        now = asyncio.get_running_loop().time()
        if now >= self.next_look:
            self.next_look = now + LOOK_SECONDS
            await self._watch.look()
        if self.next_forgetting is None:
            self.next_forgetting = now + FIRST_FORGETTING_SECONDS
        if now >= self.next_forgetting:
            self.next_forgetting = now + FORGET_SECONDS
            if await retention.forget(self._world.ledger, self._world.clock.now()):
                self.next_forgetting = now + FORGET_PACE_SECONDS
