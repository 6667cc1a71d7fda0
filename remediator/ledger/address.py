"""Selects the ledger for an address."""

from remediator.ledger.protocol import Ledger
from remediator.ledger.sqlite.store import SqliteLedger


def ledger_at(url: str) -> Ledger:
    """Return the ledger at `sqlite:///file`, without opening it.

    Raises:
        LedgerUnavailable: the address is invalid.
    """
    return SqliteLedger(url)
