"""The append-only audit trail: each hash covers its row and the previous hash."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import ANSWERS, audit
from remediator.model.clock import rfc3339

GENESIS = "0" * 64
CUT = "trail_cut"  # by retention: {"through": the last row deleted, "hash": its hash}
_NEWEST = "audit.newest"
_INSERT = insert(audit)  # built once, like the query: a row is appended at each change
_NEWEST_ROW = select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode  # built once: verification calls it per row


class Head(NamedTuple):
    """The last row of the trail."""

    id: int
    hash: str


@dataclass(frozen=True)
class RunEvent:
    """An event of a run: the state that it reached, or the outcome of its items."""

    state: str
    at: datetime
    actor: str
    reason: str


async def append(
    connection: AsyncConnection,
    at: datetime,
    event: str,
    *,
    actor: str = "remediator",
    run: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append a row in the transaction of the change that it records.

    Rows are numbered without gaps, which a sequence of the database would leave: a missing number is a missing row.
    """
    content = dict(detail or {})
    last = connection.info.get(_NEWEST) or await newest(connection)
    appended = Head(last.id + 1, hash_row(last.hash, at, run, event, actor, content))
    row = {"at": at, "run": run, "event": event, "actor": actor, "detail": content}
    await connection.execute(_INSERT, {**appended._asdict(), **row})
    connection.info[_NEWEST] = appended


def begin(connection: AsyncConnection) -> None:
    """Forget the newest row of the connection's previous transaction."""
    connection.info.pop(_NEWEST, None)


def newest_appended(connection: AsyncConnection) -> Head | None:
    """Return the last row appended in this transaction."""
    appended: Head | None = connection.info.get(_NEWEST)
    return appended


async def note_appended(connection: AsyncConnection) -> None:
    """Note that the database itself has appended the last row in this transaction."""
    connection.info[_NEWEST] = await newest(connection)


async def head(connection: AsyncConnection) -> str:
    """Return the hash of the last row.

    A copy of it proves later that no earlier row has changed.
    """
    return (await newest(connection)).hash


async def newest(connection: AsyncConnection) -> Head:
    """Return the last row; GENESIS, before the first."""
    row = (await connection.execute(_NEWEST_ROW)).first()
    return Head(*row) if row is not None else Head(0, GENESIS)


async def is_in_place(connection: AsyncConnection, known: Head) -> bool:
    """Return whether the row is as it was when it was the last one."""
    rows = await connection.execute(select(audit.c.hash).where(audit.c.id == known.id))
    return bool(rows.scalar_one_or_none() == known.hash)


def mistake_of_head(noted: str) -> str | None:
    """Return why a text cannot be a head; the beginning of one would look like a truncated trail."""
    if re.fullmatch(r"[0-9a-f]{64}", noted):
        return None
    return f"a head has 64 hexadecimal digits, not {len(noted)} characters such as these; copy all of it"


async def contains(connection: AsyncConnection, row_hash: str) -> bool:
    """Return whether `row_hash` was once the head.

    In an intact trail, all rows that it covered still exist.

    A head that retention has deleted is unknown, unless it was the last row deleted.
    """
    rows = await connection.execute(select(audit.c.id).where(audit.c.hash == row_hash).limit(1))
    return rows.first() is not None or row_hash == await trail_start(connection)


async def trail_start(connection: AsyncConnection) -> str:
    """Return the hash that the first row must follow: GENESIS, or the last deleted row's."""
    cut = select(audit.c.detail).where(text(ANSWERS), audit.c.event == CUT).order_by(audit.c.id.desc()).limit(1)
    detail = (await connection.execute(cut)).scalar_one_or_none()
    return GENESIS if detail is None else str(detail.get("hash"))


async def history(connection: AsyncConnection, run: int) -> Sequence[RunEvent]:
    """Return the events of a run, oldest first."""
    rows = await connection.execute(select(audit).where(audit.c.run == run).order_by(audit.c.id))
    return [RunEvent(row.event, row.at, row.actor, row.detail.get("reason", "")) for row in rows]


def hash_row(
    previous_hash: str, at: datetime, run: int | None, event: str, actor: str, detail: Mapping[str, Any]
) -> str:
    """Return the hash of a row that follows the row with `previous_hash`."""
    content = _encode([previous_hash, rfc3339(at), run, event, actor, detail])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
