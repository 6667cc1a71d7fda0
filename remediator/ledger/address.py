"""The ledger at an address."""

from remediator.ledger.protocol import Ledger
from remediator.ledger.sqlite.store import SqliteLedger


def ledger_at(url: str) -> Ledger:
    """The ledger at `sqlite:///file`; nothing is opened yet.

    Raises:
        LedgerUnavailable: it is no such address.
    """
    return SqliteLedger(url)
