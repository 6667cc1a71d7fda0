"""Selects the ledger for an address."""

import re

from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.protocol import Ledger
from remediator.ledger.sqlite.store import SqliteLedger
from remediator.model.clock import Clock, SystemClock
from remediator.model.errors import LedgerUnavailable
from runbookd.addresses import AddressError
from runbookd.addresses.postgres import PostgresAddress, read_postgres_address

_POSTGRES = re.compile(r"postgres(ql)?(\+\w+)?://")
NO_DATABASE = "the address names no database; write it as postgresql://role@host:5432/database"


def ledger_at(url: str) -> Ledger:
    """Return the ledger at `sqlite:///file` or `postgresql://…`, without opening it.

    Raises:
        LedgerUnavailable: the address is invalid.
    """
    address = postgres_address(url)
    return SqliteLedger(url) if address is None else PostgresLedger(address)


def clock_of(ledger: Ledger) -> Clock:
    """Return the clock by which a ledger is written: one for all replicas, if there may be several."""
    return ledger.clock if isinstance(ledger, PostgresLedger) else SystemClock()


def postgres_address(url: str) -> PostgresAddress | None:
    """Return the address of a ledger in PostgreSQL, or None if `url` is one of SQLite.

    Raises:
        LedgerUnavailable: the address is invalid; the message quotes no part of it.
    """
    if not _POSTGRES.match(url):
        return None
    try:
        address = read_postgres_address(url)
    except AddressError as error:
        raise LedgerUnavailable(str(error)) from None
    if not address.database:
        raise LedgerUnavailable(NO_DATABASE)
    return address
