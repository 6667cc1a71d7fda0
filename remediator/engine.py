"""The loop that works deliveries off, plans runs for episodes, and drives every run to its end."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from remediator.backlog import Backlog
from remediator.errors import LedgerUnavailable
from remediator.execution import execute, lose, note_stop, recover, verify
from remediator.intake import take_in
from remediator.ledger import audit, episodes, retention, runs
from remediator.ledger.candidates import Candidate, candidates
from remediator.ledger.episodes import Key
from remediator.ledger.runs import LostRun, Run
from remediator.outage import Outage
from remediator.plan import fail, precheck
from remediator.progress import advance
from remediator.states import ENDED, RunState
from remediator.stopping import Stop
from remediator.targets import Found, find
from remediator.vanished import LOOK_SECONDS, Watch
from remediator.world import World

TICK_SECONDS = 1.0
PACE_SECONDS = 0.1  # between two rounds, so that a flood is worked off in large steps
PLANNED_AT_ONCE = 50  # new runs in one transaction
TROUBLE_SECONDS = 5.0
MISHAP_SECONDS = 2.0
MAX_MISHAPS = 3
FORGET_SECONDS = 3_600.0
FIRST_FORGETTING_SECONDS = 600.0  # after the start: a machine that has just booted may be years ahead until it is told
FORGET_PACE_SECONDS = 1.0  # between two steps, so that others get the writer's turn
log = structlog.get_logger(__name__)


class Engine:
    """Owns the tasks that drive runs. A run without a task is picked up by the next tick, after a crash too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._wake = asyncio.Event()
        self._driving: dict[int, asyncio.Task[None]] = {}
        self._mishaps: Counter[int] = Counter()
        self._watch = Watch(world)
        self._next_look = 0.0
        self._next_forgetting: float | None = None
        self._trouble: str | None = None
        self.stop = Stop()
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
        await self._keep_house()
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
        found = self._find(last.key)
        cooldown = found.settings.cooldown if isinstance(found, Found) else self._world.inventory.limits.max_alert_age
        return self._world.clock.now() >= last.finished_at + cooldown

    async def _drive_due_runs(self) -> None:
        now = self._world.clock.now()
        driven = set(self._driving)  # before the read: a row that it gives may be old once its task has ended
        async with self._world.ledger.read() as connection:
            idle = [run for run in await runs.unfinished(connection) if run.id not in driven]
            confirmed = await episodes.confirmed(connection, [run.episode for run in idle])
        waiting = [run for run in idle if _can_go_on(run, confirmed[run.episode], now)]
        for run in waiting:
            if not self.stop.is_set():
                task = asyncio.create_task(self._drive(run), name=f"run {run.id}")
                self._driving[run.id] = task
                task.add_done_callback(partial(self._driven, run.id))

    def _driven(self, identifier: int, _: asyncio.Task[None]) -> None:
        del self._driving[identifier]

    async def _drive(self, run: Run) -> None:
        """Take a run as far as it goes now. Whatever stops this, the next tick finds the run where it is."""
        try:
            await self._steps(run)
            self._mishaps.pop(run.id, None)
        except LostRun as error:
            log.info("left alone", run=run.id, reason=str(error))
        except LedgerUnavailable as error:
            self._tell(error)
            await self.stop.sleep(TROUBLE_SECONDS)
        except Exception as error:
            log.exception("a run stopped", run=run.id)
            self._mishaps[run.id] += 1
            self._tell(error)
            await self.stop.sleep(MISHAP_SECONDS)

    async def _steps(self, run: Run) -> None:
        while run.state not in ENDED and not self.stop.is_set():
            before, run = run, await self._step(run)
            await self._log(run)
            if run.state in _WAITING or run.state is before.state:
                return
        self.wake()

    async def _log(self, run: Run) -> None:
        """Where a run stands; with its end the head of the audit trail, which covers all of it."""
        said: dict[str, Any] = {
            "run": run.id,
            "remediation": run.remediation,
            "target": run.target,
            "state": str(run.state),
        }
        if run.reason:
            said["reason"] = run.reason
        if run.state in ENDED:
            async with self._world.ledger.read() as connection:
                said["audit_head"] = await audit.head(connection)
        log.info("run", **said)

    def _step(self, run: Run) -> Coroutine[None, None, Run]:
        if _has_run_out(run, self._world.clock.now()):
            return self._expire(run)
        found, begun = self._find(run.key), run.state in (RunState.EXECUTING, RunState.VERIFYING)
        if self._mishaps[run.id] >= MAX_MISHAPS:
            return self._give_up(run, begun)
        if begun and isinstance(found, str):
            return lose(self._world, run, found)
        if run.state is RunState.EXECUTING and isinstance(found, Found):
            return recover(self._world, run, found)
        if run.state is RunState.VERIFYING and isinstance(found, Found):
            return verify(self._world, run, found, self.stop)
        return self._plan_and_execute(run, found)

    def _give_up(self, run: Run, begun: bool) -> Coroutine[None, None, Run]:
        """It has stopped unexpectedly again and again; a person has to look, and others must not wait for it."""
        why = f"stopped unexpectedly {self._mishaps[run.id]} times; see the log"
        if begun:
            return lose(self._world, run, why)
        return fail(self._world, run, "internal_error", why)

    async def _plan_and_execute(self, run: Run, found: Found | str) -> Run:
        run = await precheck(self._world, run, found)
        if run.state is RunState.ADMITTED and isinstance(found, Found):
            return await execute(self._world, run, found, self.stop)
        return run

    async def _expire(self, run: Run) -> Run:
        async with self._world.ledger.write() as connection:
            return await advance(connection, self._world, run, RunState.EXPIRED, reason=run.reason)

    def _find(self, key: Key) -> Found | str:
        return find(self._world.inventory, self._world.remediations, key)

    async def _keep_house(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            await self._watch.look()
        if self._next_forgetting is None:
            self._next_forgetting = now + FIRST_FORGETTING_SECONDS
        if now >= self._next_forgetting:
            self._next_forgetting = now + FORGET_SECONDS
            if await retention.forget(self._world.ledger, self._world.clock.now()):
                self._next_forgetting = now + FORGET_PACE_SECONDS


_WAITING = frozenset({RunState.DEFERRED, RunState.AWAITING_APPROVAL})


def _has_run_out(run: Run, now: datetime) -> bool:
    """Whether a waiting run has waited long enough; no step of the clock makes it wait more than twice as long."""
    if run.state not in _WAITING or run.expires_at is None:
        return False
    return run.expires_at <= now or run.created_at - now > run.expires_at - run.created_at


def _can_go_on(run: Run, confirmed_at: datetime, now: datetime) -> bool:
    """Whether something can be done for `run` now; a deferred one also waits for its alert to be delivered again."""
    if run.state not in _WAITING or _has_run_out(run, now):
        return True
    if run.state is RunState.AWAITING_APPROVAL:
        return run.approved_by is not None
    confirmed_again = run.deferred_at is not None and confirmed_at > run.deferred_at
    return confirmed_again and run.not_before is not None and run.not_before <= now
