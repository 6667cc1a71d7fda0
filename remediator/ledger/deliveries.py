"""Raw deliveries that nothing has been made of yet. They are kept by `Ledger.accept`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import delivery


@dataclass(frozen=True)
class StoredDelivery:
    """A delivery as it came."""

    id: int
    received_at: datetime
    body: bytes


async def unprocessed(
    connection: AsyncConnection, limit: int, max_bytes: int | None = None
) -> Sequence[StoredDelivery]:
    """The oldest deliveries that nothing has been made of yet: so many, or fewer of large ones, but one at least."""
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
    """How many there are that nothing has been made of yet."""
    rows = await connection.execute(select(func.count()).select_from(delivery).where(delivery.c.processed_at.is_(None)))
    return int(rows.scalar_one())


async def mark_processed(connection: AsyncConnection, batch: Sequence[StoredDelivery], now: datetime) -> None:
    """These, in the order in which `unprocessed` gave them: it leaves none out in between."""
    conditions = delivery.c.id.between(batch[0].id, batch[-1].id), delivery.c.processed_at.is_(None)
    await connection.execute(update(delivery).where(*conditions).values(processed_at=now))
