"""The loop that processes deliveries, plans runs for episodes, and drives every run to its end."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import PASSING
from remediator.context import LeaderContext
from remediator.engine.housekeeping import Housekeeping
from remediator.engine.joined_alerts import JoinedAlerts
from remediator.engine.run_driver import LEDGER_RETRY_SECONDS, RunDriver, is_ready
from remediator.escalation.unknown_targets import notify_unknown_targets
from remediator.intake.gate import IntakeGate
from remediator.intake.ingest import process_backlog
from remediator.ledger import episodes, runs
from remediator.ledger.due_episodes import Candidate, candidates
from remediator.ledger.runs import Run
from remediator.model.clock import CLOCK_TOLERANCE
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import ACTIVE, ENDED, UNKNOWN_TARGET, RunState
from remediator.model.target import ResolvedTarget, resolve_target
from remediator.runs.end_messages import notify_ends
from remediator.runs.execution import record_shutdown
from remediator.runs.planning import cooldown_of
from remediator.runs.undos import start_due_undos
from remediator.shutdown import ShutdownSignal

TICK_SECONDS = 1.0
PACE_SECONDS = 0.1  # between two rounds
PLAN_BATCH_SIZE = 50  # new runs per transaction
# Concurrent runs of one remediation of one stack: a flood of alerts about it must not delay the others.
MAX_DRIVEN = 20
RETRY_AFTER = timedelta(minutes=5)  # after a run that a bound stopped which passes by itself
AT_ONCE = datetime.min.replace(tzinfo=UTC)
_READ_AGAIN = frozenset({RunState.FAILED, RunState.INTERRUPTED})
log = structlog.get_logger(__name__)


class Engine:
    """Owns the tasks that drive runs; a tick picks up any run without one, also after a crash."""

    def __init__(
        self,
        context: LeaderContext,
        idle_seconds: Callable[[], Awaitable[float]] | None = None,
        gate: IntakeGate | None = None,
    ) -> None:
        """Take the shared parts. `idle_seconds` returns how long the engine may wait for work; by default, one tick."""
        self._context = context
        self._idle_seconds = idle_seconds
        self._wake = asyncio.Event()
        self._drive_tasks: dict[int, asyncio.Task[None]] = {}
        self._driven_kinds: dict[int, tuple[str, str]] = {}
        self._left_alone: set[int] = set()
        self._joined_alerts = JoinedAlerts()
        self._end_messages: asyncio.Task[None] | None = None
        self._fault: str | None = None
        self.shutdown = ShutdownSignal()
        self.driver = RunDriver(context, self.shutdown, self._record_fault)
        self.housekeeping = Housekeeping(context)
        self.gate = gate or IntakeGate(self.shutdown, lambda: context.repeat_interval, self.wake)

    @property
    def fault(self) -> str | None:
        """The reason why nothing can be accepted or done now, or None."""
        return self._fault or self.gate.failure

    @property
    def driven_runs(self) -> Collection[int]:
        """The numbers of the runs that a task drives now; its end starts the next round."""
        return self._drive_tasks.keys()

    def wake(self) -> None:
        """Start the next round now."""
        self._wake.set()

    def request_shutdown(self) -> None:
        """Begin no further effect from now on."""
        self.shutdown.set()
        self.wake()

    async def run(self) -> None:
        """Run rounds until `request_shutdown`."""
        while not self.shutdown.is_set():
            self._wake.clear()
            try:
                await self.tick()
                self._fault = None
            except Exception as error:
                self._record_fault(error)
                await self.shutdown.sleep(LEDGER_RETRY_SECONDS)
            await self._wait_for_work()

    def kill(self) -> None:
        """Cancel every task, as the end of the process does: the next leader settles what was under way."""
        for task in self._tasks():
            task.cancel()

    async def abandon_runs(self) -> None:
        """Stop at once, as a killed process: another one leads."""
        tasks = self._tasks()
        self.kill()
        if tasks:
            await asyncio.wait(tasks)

    def _tasks(self) -> Sequence[asyncio.Task[None]]:
        return [*self._drive_tasks.values(), *([self._end_messages] if self._end_messages is not None else [])]

    async def wait_for_runs(self) -> None:
        """Wait until no run is driven.

        After `request_shutdown`, that is as soon as every current effect has ended or timed out.
        """
        if self.shutdown.is_set():
            await self._record_shutdown()
        while self._drive_tasks:
            await asyncio.gather(*self._drive_tasks.values())
        if self._end_messages is not None:
            if self.shutdown.is_set():
                self._end_messages.cancel()  # the next start reads the targets and queues the messages
            await asyncio.wait([self._end_messages])

    async def _record_shutdown(self) -> None:
        for identifier in list(self._drive_tasks):
            try:
                await record_shutdown(self._context, identifier)
            except LedgerUnavailable as error:
                log.warning("shutdown not recorded", run=identifier, error=str(error))

    def _record_fault(self, error: Exception) -> None:
        """Record and log a fault; the daemon keeps running and retries."""
        is_ledger_error = isinstance(error, LedgerUnavailable)
        self._fault = str(error) if is_ledger_error else f"internal error: {type(error).__name__}"
        log.error("engine fault, retrying", trouble=self._fault, exc_info=not is_ledger_error)

    async def _wait_for_work(self) -> None:
        """Wait for work, at least PACE_SECONDS, so that a flood is processed in large batches."""
        await self.shutdown.sleep(PACE_SECONDS)
        idle_seconds = TICK_SECONDS if self._idle_seconds is None else await self._idle_seconds()
        try:
            async with asyncio.timeout(idle_seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def tick(self) -> None:
        """Do one round of work; runs continue in tasks of their own.

        Raises:
            LedgerUnavailable: the rest of this round was not done.
        """
        await self._process_deliveries()
        await self.housekeeping.run_due()
        unresolved_episodes = await self._plan_due_episodes()
        await start_due_undos(self._context)
        await self._drive_due_runs()
        await self._refuse(unresolved_episodes)
        await notify_unknown_targets(self._context)
        self._start_end_messages()

    async def _process_deliveries(self) -> None:
        """Process all deliveries accepted before this round.

        The last of them may end an episode that would otherwise get a run. Later ones are left to the next round, or a
        flood would hold up everything else.
        """
        processed_count = await process_backlog(self._context, self.gate)
        remaining = self.gate.waiting
        while processed_count and remaining > 0 and not self.shutdown.is_set():
            processed_count = await process_backlog(self._context, self.gate)
            remaining -= processed_count
        if self.gate.waiting:
            self.wake()

    async def _plan_due_episodes(self) -> Sequence[Candidate]:
        """Plan runs for the episodes that are due; return those whose target the inventory does not have."""
        async with self._context.ledger.read() as connection:
            open_episodes = await candidates(connection, self._context.clock.now())
            due = [each for each in open_episodes if self._is_due(each)]
            already_read = [each for each in open_episodes if self._has_been_read(each)]
            due += await self._joined_alerts.among(connection, already_read)
        is_known = {each: self._is_known(each) for each in due}  # once: a reload may come between two writes
        known = [each.episode for each in due if is_known[each]]
        for at in range(0, len(known), PLAN_BATCH_SIZE):
            async with self._context.ledger.write() as connection:
                for identifier in known[at : at + PLAN_BATCH_SIZE]:
                    await self._plan_run(connection, identifier)
        return [each for each in due if not is_known[each]]

    async def _plan_run(self, connection: AsyncConnection, episode: int) -> Run | None:
        """Plan the next run of an episode, unless an operator has started one since the episode was found due."""
        last = await runs.last_of_episode(connection, episode)
        if last is not None and last.state not in ENDED:
            return None
        return await runs.create(connection, await episodes.get(connection, episode), self._context.clock.now())

    def _is_due(self, candidate: Candidate) -> bool:
        due_at = self.due_at(candidate)
        return due_at is not None and due_at <= self._context.clock.now()

    def due_at(self, candidate: Candidate) -> datetime | None:
        """Return when a run is due: the first at once, the next after the cooldown; None if time alone makes none due.

        A target that the inventory does not have, or no longer has, gets one run, which records the refusal.
        """
        if candidate.finished_at is None or candidate.state is RunState.INTERRUPTED:
            return AT_ONCE
        if not self._is_known(candidate):
            is_recorded = candidate.state is RunState.REFUSED and candidate.reason == UNKNOWN_TARGET
            return None if is_recorded else AT_ONCE
        if self._has_been_read(candidate):
            return None
        if candidate.finished_at > self._context.clock.now() + CLOCK_TOLERANCE:
            return AT_ONCE  # the clock was set back: the bounds, which report it, decide
        return candidate.finished_at + min(cooldown_of(self._context, candidate.key), _longest_wait(candidate))

    def _has_been_read(self, candidate: Candidate) -> bool:
        """Return whether a remediation that only reads has done so: only a further alert is a reason to read again."""
        ended = candidate.finished_at is not None
        return ended and candidate.key.is_about_an_alert and candidate.state not in _READ_AGAIN

    def _is_known(self, candidate: Candidate) -> bool:
        context = self._context
        return isinstance(resolve_target(context.inventory, context.remediations, candidate.key), ResolvedTarget)

    async def _refuse(self, unresolved_episodes: Sequence[Candidate]) -> None:
        """Record the refusals of a round; the others wait, so that a flood of wrong names delays no real incident."""
        for candidate in unresolved_episodes[:PLAN_BATCH_SIZE]:
            async with self._context.ledger.write() as connection:
                run = await self._plan_run(connection, candidate.episode)
            # A reload may have added the target; then the next round drives the run.
            if run is not None and not self._is_known(candidate):
                await self.driver.drive(run)
        if len(unresolved_episodes) > PLAN_BATCH_SIZE:
            self.wake()

    def _start_end_messages(self) -> None:
        """Queue the messages of ended episodes beside the rounds: their targets are read again first."""
        if self._end_messages is None or self._end_messages.done():
            self._end_messages = asyncio.create_task(self._notify_ends(), name="end messages")

    async def _notify_ends(self) -> None:
        try:
            await notify_ends(self._context)
        except Exception as error:
            self._record_fault(error)

    async def _drive_due_runs(self) -> None:
        now = self._context.clock.now()
        driven_ids = set(self._drive_tasks)  # before the read: the row of a task that ends after it is outdated
        async with self._context.ledger.read() as connection:
            unfinished_runs = await runs.unfinished(connection)
            idle_runs = [run for run in unfinished_runs if run.id not in driven_ids]
            confirmation_times = await episodes.confirmation_times(connection, [run.episode for run in idle_runs])
            acting_elsewhere = await self._context.ledger.acting_elsewhere(connection)
        self._log_left_alone(acting_elsewhere)
        busy = {run.key for run in unfinished_runs if run.state in ACTIVE or run.id in driven_ids}
        ready_runs = [
            run
            for run in idle_runs
            if run.id not in acting_elsewhere
            and is_ready(run, confirmation_times[run.episode], now)
            and not (run.key in busy and self._waits_for_its_target(run))
        ]
        driven_kinds = Counter(self._driven_kinds.values())
        for run in ready_runs:
            kind = run.stack, run.remediation
            driven_kinds[kind] += 1
            if not self.shutdown.is_set() and driven_kinds[kind] <= MAX_DRIVEN:
                self._driven_kinds[run.id] = kind
                task = asyncio.create_task(self.driver.drive(run), name=f"run {run.id}")
                self._drive_tasks[run.id] = task
                task.add_done_callback(partial(self._on_drive_done, run.id))

    def _waits_for_its_target(self, run: Run) -> bool:
        """Return whether a run waits until another one of its target has ended: it reads, so no bound defers it."""
        remediation = self._context.remediations.get(run.remediation)
        return run.state not in ACTIVE and remediation is not None and remediation.reads_only

    def _log_left_alone(self, identifiers: Collection[int]) -> None:
        """Log once why a run waits that the last leader was executing."""
        for identifier in set(identifiers) - self._left_alone:
            log.warning(
                "an effect of the last leader may still be under way; its time limit comes first", run=identifier
            )
        self._left_alone |= set(identifiers)

    def _on_drive_done(self, identifier: int, _: asyncio.Task[None]) -> None:
        del self._drive_tasks[identifier], self._driven_kinds[identifier]
        self.wake()


def _longest_wait(candidate: Candidate) -> timedelta:
    """Return how long the next run waits at most, whatever the cooldown, which is for runs that have acted.

    A cooldown of a day would otherwise let a run miss its window, because a backup was running when the window opened.
    """
    was_stopped = candidate.state in (RunState.REFUSED, RunState.EXPIRED) and candidate.reason in PASSING
    return RETRY_AFTER if was_stopped else timedelta.max
