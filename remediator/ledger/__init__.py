"""The durable store of deliveries, episodes, runs, effects and the audit trail."""

from remediator.ledger.interface import Ledger
from remediator.ledger.sqlite import SqliteLedger


def ledger_at(url: str) -> Ledger:
    """The ledger at `sqlite:///file`; nothing is opened yet.

    Raises:
        LedgerUnavailable: it is no such address.
    """
    return SqliteLedger(url)


__all__ = ["Ledger", "ledger_at"]
