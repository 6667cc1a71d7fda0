"""The sessions of a PostgreSQL server: which ones are protected, and how to recognize one again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from remediator.clients.known_applications import PROTECTED
from remediator.clients.sql_files import load_statements
from remediator.model.remediation import Item
from runbookd.inventory import Protect

_SHARED = load_statements(__package__, "sessions.sql")


def load_session_statements(package: str, file: str) -> Mapping[str, str]:
    """Load the statements of a remediation on sessions, and those that all of them share.

    Planning and acting share the text that selects candidates.
    """
    statements = load_statements(package, file)
    candidates = statements["candidates"].replace("{protected}", _SHARED["protected"])
    return {**_SHARED, **{name: text.replace("{candidates}", candidates) for name, text in statements.items()}}


def protection(protect: Protect) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """Return the protected roles, applications, and beginnings of applications' names."""
    names, prefixes = protect.names_and_prefixes()
    return protect.roles, names, (*PROTECTED, *prefixes)


def format_moment(moment: datetime) -> str:
    """Format a moment in PostgreSQL's resolution: identities are compared exactly."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def read_pid(item: Item) -> int:
    """Return the process id in the identity of a session."""
    return int(str(item.identity["pid"]))


def read_moments(item: Item, *keys: str) -> tuple[datetime, ...]:
    """Return moments in the identity of a session."""
    return tuple(datetime.fromisoformat(str(item.identity[key])) for key in keys)
