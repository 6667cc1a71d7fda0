"""A small inventory, targets whose numbers a test sets, and alerts of them, for simulations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from remediator.model.remediation import DeclaredBound, Item
from remediator.simulation.targets import Effect, Reading
from runbookd.inventory import Inventory

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
IDLE = {"alertname": "Idle", "stack": "shop", "target": "main", "remediation": "terminate_idle_transactions"}
URGENT = {"alertname": "Down", "stack": "shop", "priority": "P0", "remediation": "collect_diagnostics"}


@dataclass
class NumberedTargets:
    """Targets that all hold the same number of items, until a test sets another reading or effect."""

    reading: Reading = field(default_factory=lambda: Reading(found=2))
    what_happens: Effect = field(default_factory=Effect)
    around: Mapping[DeclaredBound, Sequence[str]] = field(default_factory=dict)
    reading_at: Callable[[datetime], Reading] | None = None

    def read(self, remediation: str, target: str, at: datetime) -> Reading:
        return self.reading if self.reading_at is None else self.reading_at(at)

    def effect(self, remediation: str, target: str, items: Sequence[Item], at: datetime) -> Effect:
        return self.what_happens

    def surroundings(self, stack: str, at: datetime) -> Mapping[DeclaredBound, Sequence[str]]:
        return self.around


def simulated_inventory(limits: Any = None, escalation: Any = None, **settings: Any) -> Inventory:
    """Return a stack whose remediation has mode auto and these settings, with a ladder of two steps."""
    ladder = {"first": {"contacts": ["oncall"]}, "second": {"after": "30m", "contacts": ["manager"]}}
    contacts = {name: {"url": "json://127.0.0.1:9"} for name in ("oncall", "manager")}
    remediations = {"terminate_idle_transactions": {"mode": "auto", **settings}}
    stack = {
        "runbook_url": "https://runbooks.example/shop",
        "postgres": {name: {"dsn": "postgresql://db/shop"} for name in ("main", "spare")},
        "services": {"api": {"systemd": {"unit": "api.service"}, "requires": ["postgres/main"]}},
        "remediations": remediations | {"restart_service": {"mode": "auto"}},
        "escalation": ladder if escalation is None else escalation,
    }
    return Inventory.model_validate({"contacts": contacts, "limits": limits or {}, "stacks": {"shop": stack}})
