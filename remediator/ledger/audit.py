"""The audit trail: append-only, one row per transition, each row's hash made of its content and the row before it."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import audit
from remediator.model.clock import rfc3339

GENESIS = "0" * 64
CUT = "trail_cut"  # retention: {"through": the last row that went, "hash": its hash}
_NEWEST = "audit.newest"
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode  # made once: a proof asks a million times


async def append(
    connection: AsyncConnection,
    at: datetime,
    event: str,
    *,
    actor: str = "remediator",
    run: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add a row in the transaction of what it records."""
    content = dict(detail or {})
    link = link_of(newest(connection) or await head(connection), at, run, event, actor, content)
    await connection.execute(insert(audit).values(at=at, run=run, event=event, actor=actor, detail=content, hash=link))
    connection.info[_NEWEST] = link


def begin(connection: AsyncConnection) -> None:
    """A transaction begins, in which nothing was added yet."""
    connection.info.pop(_NEWEST, None)


def newest(connection: AsyncConnection) -> str | None:
    """The hash of the last row that this transaction has added."""
    found: str | None = connection.info.get(_NEWEST)
    return found


async def head(connection: AsyncConnection) -> str:
    """The hash of the last row; whoever keeps it can prove later that nothing before it has changed."""
    newest = await connection.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1))
    return newest.scalar_one_or_none() or GENESIS


async def contains(connection: AsyncConnection, link: str) -> bool:
    """Whether `link` was the head at some time; if the trail is whole, all that it covered is still there.

    A head that retention has taken is no longer known, unless it was the last one to go.
    """
    found = await connection.execute(select(audit.c.id).where(audit.c.hash == link).limit(1))
    return found.first() is not None or link == await before_the_first(connection)


async def before_the_first(connection: AsyncConnection) -> str:
    """What the first row has to follow from: nothing, or what the last cut took."""
    cut = select(audit.c.detail).where(audit.c.event == CUT).order_by(audit.c.id.desc()).limit(1)
    detail = (await connection.execute(cut)).scalar_one_or_none()
    return GENESIS if detail is None else str(detail.get("hash"))


async def history(connection: AsyncConnection, run: int) -> list[dict[str, Any]]:
    """What happened to a run: `{state, at, actor, reason}` a transition, oldest first."""
    rows = await connection.execute(select(audit).where(audit.c.run == run).order_by(audit.c.id))
    return [
        {"state": row.event, "at": rfc3339(row.at), "actor": row.actor, "reason": row.detail.get("reason", "")}
        for row in rows
    ]


def link_of(before: str, at: datetime, run: int | None, event: str, actor: str, detail: Mapping[str, Any]) -> str:
    """The hash of a row that follows the one whose hash is `before`."""
    content = _encode([before, rfc3339(at), run, event, actor, detail])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
