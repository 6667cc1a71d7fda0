"""The loop that works deliveries off, plans runs for episodes, and drives every run to its end."""

import asyncio
from functools import partial

import structlog

from remediator.context import World
from remediator.engine.housekeeping import Housekeeping
from remediator.engine.run_driver import TROUBLE_SECONDS, Driver, can_go_on
from remediator.intake.backlog import Backlog
from remediator.intake.ingest import take_in
from remediator.intake.outage import Outage
from remediator.ledger import episodes, runs
from remediator.ledger.due_episodes import Candidate, candidates
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import RunState
from remediator.model.target import Found, find
from remediator.runs.execution import note_stop
from remediator.shutdown import Stop

TICK_SECONDS = 1.0
PACE_SECONDS = 0.1  # between two rounds, so that a flood is worked off in large steps
PLANNED_AT_ONCE = 50  # new runs in one transaction
log = structlog.get_logger(__name__)


class Engine:
    """Owns the tasks that drive runs. A run without a task is picked up by the next tick, after a crash too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._wake = asyncio.Event()
        self._driving: dict[int, asyncio.Task[None]] = {}
        self._trouble: str | None = None
        self.stop = Stop()
        self.driver = Driver(world, self.stop, self._tell)
        self.house = Housekeeping(world)
        self.backlog = Backlog()
        self.outage = Outage(world.repeat_interval)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be accepted or done now, or None."""
        return self._trouble or self.outage.reason

    def wake(self) -> None:
        """There is something to do now."""
        self._wake.set()

    def halt(self) -> None:
        """Begin no further effect from now on."""
        self.stop.set()
        self.wake()

    async def run(self) -> None:
        """Work until `halt`."""
        while not self.stop.is_set():
            self._wake.clear()
            try:
                await self.tick()
                self._trouble = None
            except Exception as error:
                self._tell(error)
                await self.stop.sleep(TROUBLE_SECONDS)
            await self._pause()

    async def idle(self) -> None:
        """Wait until no run is being driven; after `halt`, until every current effect has ended or timed out."""
        if self.stop.is_set():
            await self._note_stop()
        while self._driving:
            await asyncio.gather(*self._driving.values())

    async def _note_stop(self) -> None:
        for identifier in list(self._driving):
            try:
                await note_stop(self._world, identifier)
            except LedgerUnavailable as error:
                log.warning("the stop could not be noted", run=identifier, error=str(error))

    def _tell(self, error: Exception) -> None:
        """Whatever went wrong, the daemon stays, says so, and tries again."""
        known = isinstance(error, LedgerUnavailable)
        self._trouble = str(error) if known else f"internal error: {type(error).__name__}"
        log.error("nothing can be done now", trouble=self._trouble, exc_info=not known)

    async def _pause(self) -> None:
        """Until there is something to do, but a moment at least: of many the first is served at once, then the rest."""
        await self.stop.sleep(PACE_SECONDS)
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def tick(self) -> None:
        """Do once what there is to do now; runs go on in tasks of their own.

        Raises:
            LedgerUnavailable: the rest of this tick did not happen.
        """
        await self._take_in()
        await self.house.keep()
        await self._plan_due_episodes()
        await self._drive_due_runs()

    async def _take_in(self) -> None:
        """All that had been accepted when this round began: an end may be the last of it, and nothing begins after it.

        What comes meanwhile is the next round's, or a flood would keep everything else waiting.
        """
        taken = await take_in(self._world, self.backlog)
        rest = self.backlog.waiting
        while taken and rest > 0 and not self.stop.is_set():
            taken = await take_in(self._world, self.backlog)
            rest -= taken
        if self.backlog.waiting:
            self.wake()

    async def _plan_due_episodes(self) -> None:
        async with self._world.ledger.read() as connection:
            due = [each for each in await candidates(connection) if self._is_due(each)]
        for at in range(0, len(due), PLANNED_AT_ONCE):
            async with self._world.ledger.write() as connection:
                for each in due[at : at + PLANNED_AT_ONCE]:
                    await runs.create(connection, await episodes.get(connection, each.episode), self._world.clock.now())

    def _is_due(self, last: Candidate) -> bool:
        """The first run at once; the next when the last has cooled down."""
        if last.finished_at is None or last.state is RunState.INTERRUPTED:
            return True
        found = find(self._world.inventory, self._world.remediations, last.key)
        cooldown = found.settings.cooldown if isinstance(found, Found) else self._world.inventory.limits.max_alert_age
        return self._world.clock.now() >= last.finished_at + cooldown

    async def _drive_due_runs(self) -> None:
        now = self._world.clock.now()
        driven = set(self._driving)  # before the read: a row that it gives may be old once its task has ended
        async with self._world.ledger.read() as connection:
            idle = [run for run in await runs.unfinished(connection) if run.id not in driven]
            confirmed = await episodes.confirmed(connection, [run.episode for run in idle])
        waiting = [run for run in idle if can_go_on(run, confirmed[run.episode], now)]
        for run in waiting:
            if not self.stop.is_set():
                task = asyncio.create_task(self.driver.drive(run), name=f"run {run.id}")
                self._driving[run.id] = task
                task.add_done_callback(partial(self._driven, run.id))

    def _driven(self, identifier: int, _: asyncio.Task[None]) -> None:
        del self._driving[identifier]
        self.wake()
