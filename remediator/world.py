"""What the engine's parts share: the inventory, the ledger, the clock, the remediations, and Alertmanager's address."""

from collections.abc import Mapping
from dataclasses import dataclass

from inventory import Inventory
from remediator.alertmanager import AlertmanagerReader
from remediator.clock import Clock
from remediator.ledger import Ledger
from remediator.remediations.base import Remediation


@dataclass(frozen=True)
class World:
    """Made once at start and passed down."""

    inventory: Inventory
    ledger: Ledger
    clock: Clock
    remediations: Mapping[str, Remediation]
    alertmanager: AlertmanagerReader | None
