"""The part of a replica that is not the same in all: while it leads, an engine works; otherwise it waits for its term.

Each term has an engine of its own. A replica that loses its term stops like a killed process: the next leader settles
what was under way.
"""

import asyncio
import hashlib
from contextlib import suppress

import structlog

from remediator.console.sign_in.credentials import end_orphaned_sessions
from remediator.context import Context, LeaderContext, leading
from remediator.engine.engine import Engine
from remediator.escalation.acknowledge import end_orphaned
from remediator.escalation.sender import send_until
from remediator.intake.gate import IntakeGate
from remediator.ledger import deliveries
from remediator.model.errors import LedgerUnavailable
from remediator.runs.approval import withdraw_approvals
from remediator.server.service_metrics import ServiceReadings
from remediator.shutdown import ShutdownSignal
from runbookd.inventory import Inventory
from runbookd.inventory.section import validator

POLL_SECONDS = 1.0  # of the ledger by a replica that does not lead
log = structlog.get_logger(__name__)


class Leadership:
    """Runs for election, and leads while this process has the term."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine: Engine | None = None
        self._fault: str | None = None
        self._compared: tuple[str, Inventory | None] = "", None
        self.shutdown = ShutdownSignal()
        self.gate = IntakeGate(self.shutdown, lambda: context.repeat_interval, self.wake)
        self.services = ServiceReadings(context)
        self.begun = asyncio.Event()
        """Set once it is known who leads, or that the ledger does not answer."""

    @property
    def leads(self) -> bool:
        """Whether this process leads, and no other can have been elected yet."""
        leader = self._context.leader
        return self._engine is not None and leader is not None and leader.ledger.is_trusted

    @property
    def fault(self) -> str | None:
        """The reason why nothing can be accepted or done now, or None."""
        return self._fault or self.gate.failure or (self._engine.fault if self._engine is not None else None)

    def wake(self) -> None:
        """Let the engine of this process start its next round now; that of another polls."""
        if self._engine is not None:
            self._engine.wake()

    def request_shutdown(self) -> None:
        """Begin no further effect from now on."""
        self.shutdown.set()
        if self._engine is not None:
            self._engine.request_shutdown()

    async def wait_for_effects(self) -> None:
        """Wait for the end of the current effects, after `request_shutdown`."""
        if self._engine is not None:
            await self._engine.wait_for_runs()

    async def run(self) -> None:
        """Lead whenever this process is elected, until `request_shutdown`."""
        while not self.shutdown.is_set():
            try:
                await self._take_turn()
                self._fault = None
            except Exception as error:
                self._record_fault(error)
            self.begun.set()
            await self.shutdown.sleep(POLL_SECONDS)

    def _record_fault(self, error: Exception) -> None:
        is_ledger_error = isinstance(error, LedgerUnavailable)
        self._fault = str(error) if is_ledger_error else f"internal error: {type(error).__name__}"
        log.error("replica fault, retrying", trouble=self._fault, exc_info=not is_ledger_error)

    async def _take_turn(self) -> None:
        async with self._context.ledger.lead() as ledger:
            if ledger is None:
                await self._follow()
                return
            with leading(self._context, ledger) as context:
                await self._lead(context)

    async def _follow(self) -> None:
        """Count what the leader has not processed yet, so that a replica accepts no more than it would."""
        async with self._context.ledger.read() as connection:
            self.gate.waiting = await deliveries.count_unprocessed(connection)
            leader = await self._context.ledger.leader(connection)
        self._compare(leader.inventory if leader is not None else None)

    def _compare(self, fingerprint: str | None) -> None:
        """Warn once of a leader with another inventory: what it does, this replica may not know."""
        inventory = self._context.inventory
        if fingerprint is None or (fingerprint == self._compared[0] and inventory is self._compared[1]):
            return
        self._compared = fingerprint, inventory
        if fingerprint != fingerprint_of(inventory):
            log.warning("the leader has another inventory; give all replicas the same file and reload them")

    async def _lead(self, context: LeaderContext) -> None:
        await _begin_term(context)
        self._fault = None
        self._engine = engine = Engine(context, gate=self.gate)
        self.begun.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run(), name="engine")
                tasks.create_task(send_until(engine.shutdown, context), name="sender")
                others = [
                    tasks.create_task(self.services.run(engine.shutdown), name="services"),
                    tasks.create_task(_announce(context), name="inventory of the leader"),
                ]
                await self._wait_for_end_of_term(context)
                engine.request_shutdown()
                for each in others:  # a manager that hangs must not delay the end
                    each.cancel()
                await (engine.wait_for_runs() if self.shutdown.is_set() else engine.abandon_runs())
        finally:
            engine.kill()  # what still works after a fault must not outlive the term
            self._engine = None

    async def _wait_for_end_of_term(self, context: LeaderContext) -> None:
        ends = [asyncio.ensure_future(each) for each in (self.shutdown.wait(), context.ledger.wait_for_loss())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()


async def _begin_term(context: LeaderContext) -> None:
    """End what operators have left who are no longer in the inventory: it may have changed since the last term."""
    async with context.ledger.write() as connection:
        await withdraw_approvals(connection, context, "remediator")
        await end_orphaned_sessions(connection, context.inventory, context.clock.now(), "remediator")
        await end_orphaned(connection, context)


async def _announce(context: LeaderContext) -> None:
    """Let the other replicas know the inventory of this one, and each that a reload brings."""
    announced = None
    while True:
        if (inventory := context.inventory) is not announced:
            with suppress(LedgerUnavailable):
                await context.ledger.announce(fingerprint_of(inventory))
                announced = inventory
        await asyncio.sleep(POLL_SECONDS)


def fingerprint_of(inventory: Inventory) -> str:
    """Return what tells an inventory from another; no secret is part of it."""
    return hashlib.sha256(validator(Inventory).dump_json(inventory)).hexdigest()[:16]
