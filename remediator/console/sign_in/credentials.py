"""Checks a password, and whether a session still has what it was begun with."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import console_sessions
from remediator.ledger.console_sessions import Session
from runbookd.inventory import Inventory, SecretError, read_password_hash
from runbookd.service.password_checks import PasswordChecks

IDLE_FOR = timedelta(hours=24)
LASTS_FOR = timedelta(days=7)
_MAX_CLOCK_STEP = timedelta(minutes=5)  # a session from further in the future: the clock was set back


def password_hash(inventory: Inventory, operator: str) -> bytes | None:
    """Return the hash in the operator's password file now; None without one, or if it is unusable."""
    settings = inventory.operators.get(operator)
    if settings is None or settings.password_file is None:
        return None
    try:
        return read_password_hash(settings.password_file, operator)
    except SecretError:
        return None


async def is_password(checks: PasswordChecks, inventory: Inventory, operator: str, password: str) -> bytes | None:
    """Return the operator's hash if the password is theirs; an unknown name takes as long.

    Raises:
        TooManyChecks: try again later.
    """
    hashes = {name: found for name in inventory.operators if (found := password_hash(inventory, name)) is not None}
    expected = hashes.get(operator)
    is_right = await checks.matches(password.encode("utf-8", "surrogateescape"), expected, hashes.values())
    return expected if is_right else None


def stamp_of(expected: bytes) -> str:
    """Return a text that changes with the password, and does not reveal its hash."""
    return hashlib.sha256(b"session\0" + expected).hexdigest()


async def end_orphaned_sessions(
    connection: AsyncConnection, inventory: Inventory, now: datetime, actor: str
) -> Sequence[int]:
    """End the sessions whose operator, role or password is gone, or that have expired; return their numbers."""
    ended = []
    for session in await console_sessions.active(connection):
        reason = end_reason(inventory, session, now)
        if reason is not None and await console_sessions.end(connection, session, now, actor, reason):
            ended.append(session.id)
    return ended


def end_reason(inventory: Inventory, session: Session, now: datetime) -> str | None:
    """Return why a session is over, or None."""
    operator = inventory.operators.get(session.operator)
    if operator is None:
        return "the operator was removed"
    if not operator.role.includes(session.role):
        return "the role was taken away"
    expected = password_hash(inventory, session.operator)
    if expected is None or stamp_of(expected) != session.password_stamp:
        return "the password was changed or removed"
    if now >= min(session.created_at + LASTS_FOR, session.seen_at + IDLE_FOR):
        return "it had expired"
    return "the clock was set back" if session.created_at > now + _MAX_CLOCK_STEP else None
