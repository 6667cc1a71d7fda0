"""Raw deliveries, kept before they are answered."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import delivery

KEPT = timedelta(days=30)


async def accept(connection: AsyncConnection, now: datetime, body: bytes) -> int:
    """Keep `body`; it counts as accepted when the transaction has committed."""
    result = await connection.execute(insert(delivery).values(received_at=now, body=body))
    key = result.inserted_primary_key
    assert key is not None  # noqa: S101 - an insert of one row always has one
    return int(key[0])


async def unprocessed(connection: AsyncConnection, limit: int) -> Sequence[tuple[int, datetime, bytes]]:
    """The oldest deliveries that nothing has been made of yet: `(id, received_at, body)`."""
    rows = await connection.execute(
        select(delivery.c.id, delivery.c.received_at, delivery.c.body)
        .where(delivery.c.processed_at.is_(None))
        .order_by(delivery.c.id)
        .limit(limit)
    )
    return [(row.id, row.received_at, row.body) for row in rows]


async def mark_processed(connection: AsyncConnection, identifier: int, now: datetime) -> None:
    await connection.execute(update(delivery).where(delivery.c.id == identifier).values(processed_at=now))


async def forget_old(connection: AsyncConnection, now: datetime) -> None:
    """Delete processed deliveries older than KEPT; what became of them stays in the audit trail."""
    await connection.execute(
        delete(delivery).where(delivery.c.processed_at.is_not(None), delivery.c.received_at < now - KEPT)
    )
