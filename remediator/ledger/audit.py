"""The audit trail: append-only, one row per transition, each row's hash made of its content and the row before it."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clock import rfc3339
from remediator.ledger.schema import audit

GENESIS = "0" * 64


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
    link = _link(await head(connection), at, run, event, actor, content)
    await connection.execute(insert(audit).values(at=at, run=run, event=event, actor=actor, detail=content, hash=link))


async def head(connection: AsyncConnection) -> str:
    """The hash of the last row; whoever keeps it can prove later that nothing before it has changed."""
    newest = await connection.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1))
    return newest.scalar_one_or_none() or GENESIS


async def contains(connection: AsyncConnection, link: str) -> bool:
    """Whether `link` was the head at some time; if the trail is whole, all that it covered is still there."""
    found = await connection.execute(select(audit.c.id).where(audit.c.hash == link).limit(1))
    return found.first() is not None


async def first_break(connection: AsyncConnection) -> int | None:
    """The id of the first row whose hash does not follow from the row before it, or None."""
    before = GENESIS
    for row in await connection.execute(select(audit).order_by(audit.c.id)):
        if row.hash != _link(before, row.at, row.run, row.event, row.actor, row.detail):
            return int(row.id)
        before = row.hash
    return None


async def history(connection: AsyncConnection, run: int) -> list[dict[str, Any]]:
    """What happened to a run: `{state, at, actor, reason}` a transition, oldest first."""
    rows = await connection.execute(select(audit).where(audit.c.run == run).order_by(audit.c.id))
    return [
        {"state": row.event, "at": rfc3339(row.at), "actor": row.actor, "reason": row.detail.get("reason", "")}
        for row in rows
    ]


def _link(before: str, at: datetime, run: int | None, event: str, actor: str, detail: Mapping[str, Any]) -> str:
    content = json.dumps([before, rfc3339(at), run, event, actor, detail], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
