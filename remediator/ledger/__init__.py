"""The durable store of deliveries, episodes, runs, effects and the audit trail."""

from remediator.ledger.store import Ledger

__all__ = ["Ledger"]
