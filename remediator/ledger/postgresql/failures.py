"""Words for what PostgreSQL, its driver or the network report."""

from typing import Any

from sqlalchemy.exc import DBAPIError

from remediator.model.errors import LedgerUnavailable
from runbookd.network_errors import REMEDY, network_error_text

# A conflict with another session: nothing has happened, and the next try may succeed.
RETRIED = frozenset({"40001", "40P01", "55P03"})
_REMEDIES = {
    "28P01": "correct the password in the file of --ledger.url-file",
    "28000": "allow the role in pg_hba.conf",
    "3D000": "create the database, then run deploy/postgres/ledger.sql in it",
    "42501": "connect as the role runbookd_writer of deploy/postgres/ledger.sql",
    "42P01": "run `runbookctl ledger migrate`, and connect as a role of deploy/postgres/ledger.sql",
    "53100": "free space on the disk of the server",
    "53200": "the server is overloaded; work resumes when it has memory again",
    "53300": "raise max_connections, or the role's limit",
    "55P03": "another session holds the ledger's lock; work resumes when it ends",
    "57P03": "work resumes when the server has started",
}


def sqlstate(error: DBAPIError) -> str:
    """Return the server's code for an error, or an empty text."""
    return str(getattr(error.orig, "sqlstate", None) or "")


def database_error(error: DBAPIError) -> LedgerUnavailable:
    """Word an error of the server or the driver, with its remedy."""
    cause = error.orig.__cause__ if error.orig is not None else None
    text = (str(cause or error.orig).splitlines() or [""])[0] or type(cause or error.orig).__name__
    remedy = _REMEDIES.get(sqlstate(error))
    return LedgerUnavailable(f"the ledger: {text}" + (f"; {remedy}" if remedy else ""))


def network_error(error: BaseException) -> LedgerUnavailable:
    """Word a failed connection, or an answer that did not come in time."""
    text = network_error_text(error) if isinstance(error, OSError) else "no answer in time"
    return LedgerUnavailable(f"the ledger: {text}; {REMEDY}")


def translate(context: Any) -> LedgerUnavailable | None:
    """Translate an error of the network within a statement, for SQLAlchemy's event `handle_error`.

    Such a connection is not used again: whether the statement has run is unknown.
    """
    error = context.original_exception
    if not isinstance(error, OSError | TimeoutError):
        return None
    context.is_disconnect = True
    return network_error(error)
