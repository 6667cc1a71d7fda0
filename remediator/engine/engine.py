"""The loop that processes deliveries, plans runs for episodes, and drives every run to its end."""

import asyncio
from functools import partial

import structlog

from remediator.context import Context
from remediator.engine.housekeeping import Housekeeping
from remediator.engine.run_driver import LEDGER_RETRY_SECONDS, RunDriver, is_ready
from remediator.intake.gate import IntakeGate
from remediator.intake.ingest import process_backlog
from remediator.ledger import episodes, runs
from remediator.ledger.due_episodes import Candidate, candidates
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import RunState
from remediator.runs.execution import record_shutdown
from remediator.runs.planning import cooldown_of
from remediator.shutdown import ShutdownSignal

TICK_SECONDS = 1.0
PACE_SECONDS = 0.1  # between two rounds
PLAN_BATCH_SIZE = 50  # new runs per transaction
log = structlog.get_logger(__name__)


class Engine:
    """Owns the tasks that drive runs; a tick picks up any run without one, also after a crash."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._wake = asyncio.Event()
        self._drive_tasks: dict[int, asyncio.Task[None]] = {}
        self._fault: str | None = None
        self.shutdown = ShutdownSignal()
        self.driver = RunDriver(context, self.shutdown, self._record_fault)
        self.housekeeping = Housekeeping(context)
        self.gate = IntakeGate(self.shutdown, context.repeat_interval, self.wake)

    @property
    def fault(self) -> str | None:
        """The reason why nothing can be accepted or done now, or None."""
        return self._fault or self.gate.failure

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

    async def wait_for_runs(self) -> None:
        """Wait until no run is driven.

        After `request_shutdown`, that is as soon as every current effect has ended or timed out.
        """
        if self.shutdown.is_set():
            await self._record_shutdown()
        while self._drive_tasks:
            await asyncio.gather(*self._drive_tasks.values())

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
        try:
            async with asyncio.timeout(TICK_SECONDS):
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
        await self._plan_due_episodes()
        await self._drive_due_runs()

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

    async def _plan_due_episodes(self) -> None:
        async with self._context.ledger.read() as connection:
            due = [each for each in await candidates(connection) if self._is_due(each)]
        for at in range(0, len(due), PLAN_BATCH_SIZE):
            async with self._context.ledger.write() as connection:
                for each in due[at : at + PLAN_BATCH_SIZE]:
                    await runs.create(
                        connection, await episodes.get(connection, each.episode), self._context.clock.now()
                    )

    def _is_due(self, candidate: Candidate) -> bool:
        """Return whether a run is due: the first at once, the next after the cooldown."""
        if candidate.finished_at is None or candidate.state is RunState.INTERRUPTED:
            return True
        return self._context.clock.now() >= candidate.finished_at + cooldown_of(self._context, candidate.key)

    async def _drive_due_runs(self) -> None:
        now = self._context.clock.now()
        driven_ids = set(self._drive_tasks)  # before the read: the row of a task that ends after it is outdated
        async with self._context.ledger.read() as connection:
            idle_runs = [run for run in await runs.unfinished(connection) if run.id not in driven_ids]
            confirmation_times = await episodes.confirmation_times(connection, [run.episode for run in idle_runs])
        ready_runs = [run for run in idle_runs if is_ready(run, confirmation_times[run.episode], now)]
        for run in ready_runs:
            if not self.shutdown.is_set():
                task = asyncio.create_task(self.driver.drive(run), name=f"run {run.id}")
                self._drive_tasks[run.id] = task
                task.add_done_callback(partial(self._on_drive_done, run.id))

    def _on_drive_done(self, identifier: int, _: asyncio.Task[None]) -> None:
        del self._drive_tasks[identifier]
        self.wake()
