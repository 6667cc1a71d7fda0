"""Raw deliveries that are not processed yet. `Ledger.accept` stores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import delivery


@dataclass(frozen=True)
class StoredDelivery:
    """A delivery as it was received."""

    id: int
    received_at: datetime
    body: bytes


async def unprocessed(
    connection: AsyncConnection, limit: int, max_bytes: int | None = None
) -> Sequence[StoredDelivery]:
    """Return the oldest unprocessed deliveries, at most `limit` and `max_bytes`.

    A single larger delivery is returned alone.
    """
    sizes = await connection.execute(
        select(delivery.c.id, func.length(delivery.c.body))
        .where(delivery.c.processed_at.is_(None))
        .order_by(delivery.c.id)
        .limit(limit)
    )
    last_id, total = 0, 0
    for identifier, size in sizes:
        total += size
        if last_id and max_bytes is not None and total > max_bytes:
            break
        last_id = identifier
    query = select(delivery.c.id, delivery.c.received_at, delivery.c.body)
    conditions = delivery.c.id <= last_id, delivery.c.processed_at.is_(None)
    return [StoredDelivery(*row) for row in await connection.execute(query.where(*conditions).order_by(delivery.c.id))]


async def count_unprocessed(connection: AsyncConnection) -> int:
    """Count the unprocessed deliveries."""
    rows = await connection.execute(select(func.count()).select_from(delivery).where(delivery.c.processed_at.is_(None)))
    return int(rows.scalar_one())


async def mark_processed(connection: AsyncConnection, batch: Sequence[StoredDelivery], now: datetime) -> None:
    """Mark a batch from `unprocessed` as processed, and no other: one with a lower number may be stored after it."""
    await connection.execute(
        update(delivery).where(delivery.c.id.in_([each.id for each in batch])).values(processed_at=now)
    )
