"""Cuts the audit trail at its beginning.

The cut is recorded in the trail, with the hash of the last row deleted, so that the remaining rows can still be
verified.
"""

from datetime import datetime
from itertools import takewhile

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.protocol import RECORD_RETENTION, STEP_ROWS
from remediator.ledger.schema import audit as trail

_head = select(func.max(trail.c.id)).scalar_subquery()
_OLDEST = select(trail.c.id, trail.c.at, trail.c.hash).where(trail.c.id < _head).order_by(trail.c.id).limit(STEP_ROWS)


async def cut_trail(connection: AsyncConnection, now: datetime) -> int:
    """Delete the rows before the first recent row, so that a clock set back makes no hole.

    The last row stays at any age: the next one follows from it.
    """
    limit = now - RECORD_RETENTION
    expired = list(takewhile(lambda row: row.at < limit, await connection.execute(_OLDEST)))
    if not expired:
        return 0
    last_expired = expired[-1]
    await connection.execute(delete(trail).where(trail.c.id <= last_expired.id))
    detail = {"through": last_expired.id, "hash": last_expired.hash}
    await audit.append(connection, now, audit.CUT, detail=detail)
    return len(expired)
