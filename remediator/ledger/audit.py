"""The append-only audit trail: each hash covers its row and the previous hash."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import audit
from remediator.model.clock import rfc3339

GENESIS = "0" * 64
CUT = "trail_cut"  # by retention: {"through": the last row deleted, "hash": its hash}
_NEWEST_HASH = "audit.newest"
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode  # built once: verification calls it per row


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
    """Append a row in the transaction of the change that it records."""
    content = dict(detail or {})
    row_hash = hash_row(newest_appended(connection) or await head(connection), at, run, event, actor, content)
    await connection.execute(
        insert(audit).values(at=at, run=run, event=event, actor=actor, detail=content, hash=row_hash)
    )
    connection.info[_NEWEST_HASH] = row_hash


def begin(connection: AsyncConnection) -> None:
    """Forget the newest row of the connection's previous transaction."""
    connection.info.pop(_NEWEST_HASH, None)


def newest_appended(connection: AsyncConnection) -> str | None:
    """Return the hash of the last row appended in this transaction."""
    newest_hash: str | None = connection.info.get(_NEWEST_HASH)
    return newest_hash


async def head(connection: AsyncConnection) -> str:
    """Return the hash of the last row.

    A copy of it proves later that no earlier row has changed.
    """
    newest_hash = await connection.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1))
    return newest_hash.scalar_one_or_none() or GENESIS


async def contains(connection: AsyncConnection, row_hash: str) -> bool:
    """Return whether `row_hash` was once the head.

    In an intact trail, all rows that it covered still exist.

    A head that retention has deleted is unknown, unless it was the last row deleted.
    """
    rows = await connection.execute(select(audit.c.id).where(audit.c.hash == row_hash).limit(1))
    return rows.first() is not None or row_hash == await trail_start(connection)


async def trail_start(connection: AsyncConnection) -> str:
    """Return the hash that the first row must follow: GENESIS, or the last deleted row's."""
    cut = select(audit.c.detail).where(audit.c.event == CUT).order_by(audit.c.id.desc()).limit(1)
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
