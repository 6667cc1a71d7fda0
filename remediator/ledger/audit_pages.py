"""Pages of the audit trail, newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import audit


@dataclass(frozen=True)
class AuditEntry:
    """A row of the trail. `hash` covers the row and the hash of the row before it."""

    id: int
    at: datetime
    run: int | None
    event: str
    actor: str
    detail: Mapping[str, Any]
    hash: str


@dataclass(frozen=True)
class AuditPage:
    """A page of the trail; `next` is the `before` of the next page, or None at the end."""

    entries: Sequence[AuditEntry]
    next: int | None


async def list_audit(
    connection: AsyncConnection, *, limit: int, before: int | None = None, run: int | None = None
) -> AuditPage:
    """Return at most `limit` rows older than the row `before`, of one run or of all, newest first."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(audit.c.id < before)
    if run is not None:
        query = query.where(audit.c.run == run)
    entries = [AuditEntry(**row._mapping) for row in await connection.execute(query)]
    return AuditPage(entries[:limit], entries[limit - 1].id if len(entries) > limit else None)
