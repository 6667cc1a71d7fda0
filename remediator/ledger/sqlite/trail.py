"""Cuts the audit trail at its beginning.

The cut is recorded in the trail, with the hash of the last row deleted, so that the remaining rows can still be
verified.
"""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.protocol import RECORD_RETENTION, STEP_ROWS
from remediator.ledger.schema import audit as trail


async def cut_trail(connection: AsyncConnection, now: datetime) -> int:
    """Delete the rows before the first recent row, so that a clock set back makes no hole.

    The last row stays at any age: the next one follows from it.
    """
    limit, head = now - RECORD_RETENTION, select(func.max(trail.c.id)).scalar_subquery()
    query = select(trail.c.id, trail.c.at, trail.c.hash).where(trail.c.id < head).order_by(trail.c.id).limit(STEP_ROWS)
    oldest = (await connection.execute(query)).all()
    first_recent = next((place for place, row in enumerate(oldest) if row.at >= limit), len(oldest))
    if first_recent == 0:
        return 0
    last_expired = oldest[first_recent - 1]
    await connection.execute(delete(trail).where(trail.c.id <= last_expired.id))
    detail = {"through": last_expired.id, "hash": last_expired.hash}
    await audit.append(connection, now, audit.CUT, detail=detail)
    return first_recent
