"""Escalations that are to be sent: written with what they are about, sent at least once, never twice for one key."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import outbox

MAX_WAIT = timedelta(minutes=5)


async def put(
    connection: AsyncConnection, key: str, contacts: Iterable[str], title: str, body: str, now: datetime
) -> None:
    """Queue one message to each contact, unless this key has been queued for them before."""
    for contact in contacts:
        known = await connection.execute(select(outbox.c.id).where(outbox.c.key == key, outbox.c.contact == contact))
        if known.first() is None:
            await connection.execute(
                insert(outbox).values(
                    key=key, contact=contact, created_at=now, title=title, body=body, next_attempt_at=now
                )
            )


async def due(connection: AsyncConnection, now: datetime) -> Sequence[Any]:
    """Messages that are to be tried now, oldest first."""
    rows = await connection.execute(
        select(outbox)
        .where(outbox.c.sent_at.is_(None), outbox.c.next_attempt_at <= now)
        .order_by(outbox.c.id)
        .limit(20)
    )
    return rows.all()


async def sent(connection: AsyncConnection, identifier: int, now: datetime) -> None:
    await connection.execute(
        update(outbox).where(outbox.c.id == identifier).values(sent_at=now, attempts=outbox.c.attempts + 1)
    )


async def failed(connection: AsyncConnection, identifier: int, attempts: int, now: datetime) -> None:
    """Try again later: after 1, 2, 4 … seconds, at most MAX_WAIT."""
    wait = min(timedelta(seconds=2 ** min(attempts, 10)), MAX_WAIT)
    await connection.execute(
        update(outbox).where(outbox.c.id == identifier).values(attempts=attempts + 1, next_attempt_at=now + wait)
    )


async def waiting(connection: AsyncConnection) -> int:
    """How many messages have not reached their contact yet."""
    rows = await connection.execute(select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None)))
    return int(rows.scalar_one())
