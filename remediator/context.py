"""The inventory, ledger, clock, remediations and Alertmanager client that all parts of the engine share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from remediator.clients.alertmanager import AlertmanagerReader
from remediator.ledger.protocol import Ledger
from remediator.model.clock import Clock
from remediator.model.contact_log import ContactLog
from remediator.model.remediation import Remediation
from runbookd.inventory import Inventory

REPEAT_INTERVAL = timedelta(minutes=5)  # as in deploy/alertmanager.yml; used if the inventory names none


@dataclass(frozen=True)
class Context:
    """The shared parts, created once at start and passed down."""

    inventory: Inventory
    ledger: Ledger
    clock: Clock
    remediations: Mapping[str, Remediation]
    alertmanager: AlertmanagerReader | None
    pause_file: Path | None = None  # while it exists, nothing is remediated
    contact_log: ContactLog = field(default_factory=ContactLog)

    @property
    def repeat_interval(self) -> timedelta:
        """The interval at which Alertmanager repeats a firing alert."""
        alertmanager = self.inventory.alertmanager
        return alertmanager.repeat_interval if alertmanager is not None else REPEAT_INTERVAL
