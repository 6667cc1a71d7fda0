"""The entry: one remediator in virtual time, to which alerts are delivered and whose ledger is read.

Call `simulation` in a coroutine that `run_virtually` runs: let alerts fire by `alertmanager`, let time pass by
`advance`, then read runs, episodes and messages.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import select

from remediator.context import LeaderContext
from remediator.engine.engine import TICK_SECONDS, Engine
from remediator.escalation.acknowledge import acknowledge
from remediator.ledger import deploys, effects, runs, switches
from remediator.ledger.effects import RunItem
from remediator.ledger.episodes import Episode
from remediator.ledger.runs import Run
from remediator.ledger.schema import episode as episode_table
from remediator.ledger.schema import outbox as outbox_table
from remediator.ledger.schema import run as run_table
from remediator.ledger.sqlite.memory import MemoryLedger
from remediator.model.errors import LedgerUnavailable
from remediator.model.remediation import Remediation
from remediator.remediations import REMEDIATIONS
from remediator.runs import pausing
from remediator.runs.approval import approve, reject, withdraw_approvals
from remediator.simulation.alertmanager import SimulatedAlertmanager
from remediator.simulation.faults import faults_raised
from remediator.simulation.messages import send_in_simulation
from remediator.simulation.next_work import seconds_until_work
from remediator.simulation.quick_engine import QuickEngine
from remediator.simulation.targets import EFFECT_TIMEOUT, SimulatedTargets, simulated
from remediator.simulation.virtual_time import VirtualClock
from runbookd.inventory import Inventory

DEFAULT_OPERATOR = "oncall"


@dataclass(frozen=True)
class SentMessage:
    """A message as it was queued for a contact. `key` tells what it is about; see ledger/outbox.py."""

    created_at: datetime
    contact: str
    key: str
    title: str
    body: str
    severity: str
    episode: int | None
    sent_at: datetime | None


class Simulation:
    """One simulated remediator. Everything happens when `advance` or `advance_to` lets time pass."""

    def __init__(
        self, context: LeaderContext, ledger: MemoryLedger, clock: VirtualClock, *, with_messages: bool
    ) -> None:
        self.context, self.ledger, self.clock = context, ledger, clock
        self._with_messages = with_messages
        self.engine: Engine | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waits_for_ledger = False
        self.alertmanager = SimulatedAlertmanager(clock, self.deliver, context.repeat_interval)

    async def advance(self, span: timedelta) -> None:
        """Let `span` pass."""
        await self.advance_to(self.clock.now() + span)

    async def advance_to(self, moment: datetime) -> None:
        """Let time pass until `moment`; a moment that has passed changes nothing."""
        await self.clock.sleep_until(moment)

    async def deliver(self, body: bytes) -> bool:
        """Deliver a webhook body now; return whether it was accepted, as 200 against 503."""
        if self.engine is None or self.engine.gate.refusal() is not None:
            return False
        try:
            await self.ledger.accept(self.clock.now(), body)
        except LedgerUnavailable:
            return False
        self.engine.gate.accepted()
        return True

    async def start(self) -> None:
        """Start the remediator, as after a crash."""
        if self.engine is not None:
            return
        try:
            async with self.ledger.write() as connection:
                await withdraw_approvals(connection, self.context, "remediator")
        except LedgerUnavailable:
            self._waits_for_ledger = True  # as the daemon, which its service manager starts again and again
            return
        self._waits_for_ledger = False
        engine = (
            Engine(self.context, self._idle_seconds) if self._with_messages else QuickEngine(self.context, self.ledger)
        )
        self.engine = engine
        self._tasks.append(asyncio.create_task(engine.run(), name="engine"))
        if self._with_messages:
            self._tasks.append(asyncio.create_task(send_in_simulation(self.context, self.ledger), name="sender"))

    async def crash(self) -> None:
        """Kill the remediator here and now; only what the ledger holds survives."""
        engine, self.engine, self._waits_for_ledger = self.engine, None, False
        if engine is not None:
            engine.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def begin_outage(self, reason: str = "disk full") -> None:
        """Let the ledger be unavailable from now on: nothing is accepted, and nothing is done."""
        self.ledger.outage = reason

    async def end_outage(self) -> None:
        """Let the ledger be available again, and start the remediator if it could not be started without."""
        self.ledger.outage = None
        if self._waits_for_ledger:
            await self.start()

    async def pause(self, reason: str, stack: str | None = None, span: timedelta | None = None) -> None:
        """Pause a stack, or all, as an operator does."""
        request = pausing.PauseRequest.model_validate({"reason": reason, "stack": stack, "for": span})
        await pausing.pause(self.context, request, DEFAULT_OPERATOR)

    async def resume(self, stack: str | None = None) -> None:
        """End the pauses of a stack, or all."""
        await pausing.resume(self.context, stack, DEFAULT_OPERATOR)
        self.wake()

    async def approve(self, run: int, operator: str = DEFAULT_OPERATOR) -> Run:
        """Approve a run; see runs/approval.py."""
        approved_run = await approve(self.context, run, operator)
        self.wake()
        return approved_run

    async def reject(self, run: int, operator: str = DEFAULT_OPERATOR, reason: str = "") -> Run:
        """Reject a run; see runs/approval.py."""
        return await reject(self.context, run, operator, reason=reason)

    async def acknowledge(
        self, episode: int, operator: str = DEFAULT_OPERATOR, note: str = "", span: timedelta | None = None
    ) -> None:
        """Acknowledge an episode; see escalation/acknowledge.py."""
        await acknowledge(self.context, episode, operator, note, span)

    async def begin_deploy(self, stack: str, version: str = "") -> None:
        """Report that a deploy begins."""
        async with self.ledger.write() as connection:
            await deploys.begin(connection, self.clock.now(), DEFAULT_OPERATOR, stack, version)

    async def end_deploy(self, stack: str, version: str = "") -> None:
        """Report that a deploy is done."""
        async with self.ledger.write() as connection:
            await deploys.end(connection, self.clock.now(), DEFAULT_OPERATOR, stack, version)

    async def runs(self) -> Sequence[Run]:
        """Return all runs, oldest first."""
        async with self.ledger.read() as connection:
            rows = await connection.execute(select(run_table).order_by(run_table.c.id))
            return [runs.from_row(row) for row in rows]

    async def episodes(self) -> Sequence[Episode]:
        """Return all episodes, oldest first."""
        async with self.ledger.read() as connection:
            rows = await connection.execute(select(episode_table).order_by(episode_table.c.id))
            return [Episode(**row._mapping) for row in rows]

    async def items(self, run: int) -> Sequence[RunItem]:
        """Return the items of a run with what became of them."""
        async with self.ledger.read() as connection:
            return await effects.items(connection, run)

    async def messages(self) -> Sequence[SentMessage]:
        """Return all messages, oldest first; a step of the ladder has a key like `4/step/manager`."""
        columns = [outbox_table.c[each.name] for each in fields(SentMessage)]
        async with self.ledger.read() as connection:
            rows = await connection.execute(select(*columns).order_by(outbox_table.c.id))
            return [SentMessage(**row._mapping) for row in rows]

    async def open_breakers(self) -> Sequence[switches.OpenBreaker]:
        """Return the open breakers."""
        async with self.ledger.read() as connection:
            return await switches.open_breakers(connection)

    async def stop(self) -> None:
        """End the simulation."""
        await self.alertmanager.stop()
        await self.crash()

    async def _idle_seconds(self) -> float:
        if self.engine is None:  # killed
            return TICK_SECONDS
        return await seconds_until_work(self.context, self.engine, with_messages=True)

    def wake(self) -> None:
        """Let the engine run a round now."""
        if self.engine is not None:
            self.engine.wake()


@asynccontextmanager
async def simulation(
    inventory: Inventory,
    targets: SimulatedTargets,
    start: datetime,
    *,
    remediations: Mapping[str, Remediation] = REMEDIATIONS,
    with_messages: bool = True,
    reads_alertmanager: bool = True,
    effect_timeout: timedelta = EFFECT_TIMEOUT,
) -> AsyncIterator[Simulation]:
    """Start a remediator with `inventory` at the moment `start`; run it by `run_virtually`.

    Raises:
        SimulationFailed: its own code has failed; the result would be wrong.
    """
    clock = VirtualClock(start)
    with faults_raised():
        async with AsyncExitStack() as stack:
            ledger = await stack.enter_async_context(MemoryLedger().open())
            sessions = simulated(remediations, targets, clock, effect_timeout)
            context = LeaderContext(inventory, ledger, clock, sessions, None, simulated=targets)
            simulated_remediator = Simulation(context, ledger, clock, with_messages=with_messages)
            if reads_alertmanager:
                context.alertmanager = simulated_remediator.alertmanager
            await simulated_remediator.start()
            stack.push_async_callback(simulated_remediator.stop)
            yield simulated_remediator
