"""The sessions of the console: one row per browser that signed in, with the hash of its token."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.schema import LedgerRow
from remediator.ledger.schema import console_session as table
from runbookd.inventory import Role

MAX_SESSIONS = 20  # per operator; the one seen longest ago makes room
KNOWN_FOR = timedelta(days=30)  # an address that signed in is remembered as long


@dataclass(frozen=True)
class Session:
    """A row of the table, without the hash of its token and its end."""

    id: int
    operator: str
    role: Role
    password_stamp: str
    created_at: datetime
    seen_at: datetime


@dataclass(frozen=True)
class Browser:
    """The place from which an operator signs in."""

    address: str
    user_agent: str


def hash_token(token: str) -> str:
    """Return the text by which the ledger knows a token: a copy of the ledger signs nobody in."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


async def begin(
    connection: AsyncConnection, now: datetime, operator: str, role: Role, stamp: str, token: str, browser: Browser
) -> int:
    """Store a new session, end the ones beyond MAX_SESSIONS, and return the number of the new one."""
    for session in (await active_of(connection, operator))[MAX_SESSIONS - 1 :]:
        await end(connection, session, now, operator, "replaced by newer sessions")
    values = {
        "token_hash": hash_token(token),
        "operator": operator,
        "role": str(role),
        "password_stamp": stamp,
        "address": browser.address,
        "user_agent": browser.user_agent,
        "created_at": now,
        "seen_at": now,
    }
    result = await connection.execute(insert(table).values(**values))
    assert result.inserted_primary_key is not None  # noqa: S101 - an insert of one row always has one
    session_id = int(result.inserted_primary_key[0])
    detail = {"session": session_id, "address": browser.address}
    await audit.append(connection, now, "signed_in", actor=operator, detail=detail)
    return session_id


async def find(connection: AsyncConnection, token: str) -> Session | None:
    """Return the session of a token, or None if there is none or it has ended."""
    rows = await connection.execute(_open_sessions().where(table.c.token_hash == hash_token(token)))
    row = rows.one_or_none()
    return None if row is None else _session(row)


async def active(connection: AsyncConnection) -> Sequence[Session]:
    """Return all sessions that have not ended."""
    rows = await connection.execute(_open_sessions().order_by(table.c.id))
    return [_session(row) for row in rows]


async def active_of(connection: AsyncConnection, operator: str) -> Sequence[Session]:
    """Return the operator's sessions that have not ended, the last one seen first."""
    query = _open_sessions().where(table.c.operator == operator)
    rows = await connection.execute(query.order_by(table.c.seen_at.desc(), table.c.id.desc()))
    return [_session(row) for row in rows]


async def end(connection: AsyncConnection, session: Session, now: datetime, actor: str, reason: str) -> bool:
    """End a session; return whether it had not ended before."""
    is_open = table.c.id == session.id, table.c.ended_at.is_(None)
    result = await connection.execute(update(table).where(*is_open).values(ended_at=now, end_reason=reason))
    if not result.rowcount:
        return False
    detail = {"session": session.id, "operator": session.operator, "reason": reason}
    await audit.append(connection, now, "signed_out", actor=actor, detail=detail)
    return True


async def touch(connection: AsyncConnection, identifier: int, now: datetime) -> None:
    """Record that a session is in use."""
    await connection.execute(update(table).where(table.c.id == identifier).values(seen_at=now))


async def is_known_address(connection: AsyncConnection, address: str, now: datetime) -> bool:
    """Return whether an operator signed in from `address` within KNOWN_FOR."""
    last = select(func.max(table.c.created_at)).where(table.c.address == address)
    latest: datetime | None = (await connection.execute(last)).scalar_one_or_none()
    return latest is not None and now - KNOWN_FOR <= latest


def _open_sessions() -> Select[Any]:
    return select(*(table.c[each.name] for each in fields(Session))).where(table.c.ended_at.is_(None))


def _session(row: LedgerRow) -> Session:
    return Session(**{**row._mapping, "role": Role(row.role)})
