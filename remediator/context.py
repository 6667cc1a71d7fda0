"""What the engine's parts share: the inventory, the ledger, the clock, the remediations, and Alertmanager's address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from remediator.clients.alertmanager import AlertmanagerReader
from remediator.ledger.protocol import Ledger
from remediator.model.clock import Clock
from remediator.model.remediation import Remediation
from runbookd.inventory import Inventory

REPEAT_INTERVAL = timedelta(minutes=5)  # of the route in deploy/alertmanager.yml, where the inventory names none


@dataclass(frozen=True)
class Context:
    """Made once at start and passed down."""

    inventory: Inventory
    ledger: Ledger
    clock: Clock
    remediations: Mapping[str, Remediation]
    alertmanager: AlertmanagerReader | None
    pause_file: Path | None = None  # while it exists, nothing is done

    @property
    def repeat_interval(self) -> timedelta:
        """How often Alertmanager repeats an alert that goes on firing."""
        alertmanager = self.inventory.alertmanager
        return alertmanager.repeat_interval if alertmanager is not None else REPEAT_INTERVAL
