"""The inventory, ledger, clock, remediations and Alertmanager client that all parts of the engine share."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, Self

from remediator.clients.alertmanager import ActiveAlert
from remediator.ledger.protocol import LeaderLedger, Ledger
from remediator.model.clock import Clock
from remediator.model.contact_log import ContactLog
from remediator.model.errors import OperatorRemoved, RoleTooLow
from remediator.model.remediation import DeclaredBound, Remediation
from runbookd.inventory import Inventory, Role

REPEAT_INTERVAL = timedelta(minutes=5)  # as in deploy/alertmanager.yml; used if the inventory names none


class ActiveAlerts(Protocol):
    """Alertmanager, as far as the engine reads it."""

    async def active(self) -> Sequence[ActiveAlert]:
        """Return the alerts that fire now."""


class SimulatedSurroundings(Protocol):
    """Stands in for the servers around a target, which a simulation must not read."""

    def surroundings(self, stack: str, at: datetime) -> Mapping[DeclaredBound, Sequence[str]]:
        """Return for each bound about the surroundings why it would refuse a run of `stack` now."""


@dataclass
class Context:
    """The shared parts, created once at start and passed down.

    Only `use` changes it, within a write transaction of the ledger: other transactions are wholly before or after.
    """

    inventory: Inventory
    ledger: Ledger
    clock: Clock
    remediations: Mapping[str, Remediation]
    alertmanager: ActiveAlerts | None
    pause_file: Path | None = None  # while it exists, nothing is remediated
    contact_log: ContactLog = field(default_factory=ContactLog)
    removed_operators: frozenset[str] = frozenset()  # since the start
    simulated: SimulatedSurroundings | None = None  # only in a simulation, which reads no server
    leader: "LeaderContext | None" = None  # while this process leads

    def use(self, inventory: Inventory, alertmanager: ActiveAlerts | None) -> None:
        """Replace the inventory. Call it only within a write transaction of the ledger."""
        former_operators = self.removed_operators | self.inventory.operators.keys()
        self.removed_operators = former_operators - inventory.operators.keys()
        self.inventory, self.alertmanager = inventory, alertmanager
        if self.leader is not None:
            self.leader.use(inventory, alertmanager)

    def restore(self, previous: "Context") -> None:
        """Return to the inventory of a snapshot, after the transaction of `use` has failed."""
        self.inventory, self.alertmanager = previous.inventory, previous.alertmanager
        self.removed_operators = previous.removed_operators
        if self.leader is not None:
            self.leader.restore(previous)

    def require_operator(self, name: str, least: Role = Role.OPERATOR) -> None:
        """Refuse an operator without the role `least`, or whom a reload has removed since the request came.

        Raises:
            OperatorRemoved: the inventory has no longer an operator with this name.
            RoleTooLow: the operator's role does not include `least`.
        """
        if name in self.removed_operators:
            raise OperatorRemoved(name)
        operator = self.inventory.operators.get(name)
        if operator is not None and not operator.role.includes(least):
            raise RoleTooLow(f"{name} has the role {operator.role}; this needs the role {least}")

    def snapshot(self) -> Self:
        """Return a copy that a reload does not change, for work of several transactions."""
        return replace(self)

    @property
    def repeat_interval(self) -> timedelta:
        """The interval at which Alertmanager repeats a firing alert."""
        alertmanager = self.inventory.alertmanager
        return alertmanager.repeat_interval if alertmanager is not None else REPEAT_INTERVAL


@dataclass
class LeaderContext(Context):
    """The shared parts in a term of the leader, whose ledger writes nothing in another term.

    The leader's own work takes this type; the acts of operators take a Context.
    """

    ledger: LeaderLedger


@contextmanager
def leading(context: Context, ledger: LeaderLedger) -> Iterator[LeaderContext]:
    """Give the parts for a term, which change with those of `context` until the block ends."""
    parts = {each.name: getattr(context, each.name) for each in fields(context)}
    context.leader = LeaderContext(**{**parts, "ledger": ledger, "leader": None})
    try:
        yield context.leader
    finally:
        context.leader = None
