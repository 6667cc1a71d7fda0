"""Raw deliveries that nothing has been made of yet. They are kept by `Ledger.accept`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import delivery


@dataclass(frozen=True)
class Kept:
    """A delivery as it came."""

    id: int
    received_at: datetime
    body: bytes


async def unprocessed(connection: AsyncConnection, limit: int, most_bytes: int | None = None) -> Sequence[Kept]:
    """The oldest deliveries that nothing has been made of yet: so many, or fewer of large ones, but one at least."""
    sizes = await connection.execute(
        select(delivery.c.id, func.length(delivery.c.body))
        .where(delivery.c.processed_at.is_(None))
        .order_by(delivery.c.id)
        .limit(limit)
    )
    chosen: list[int] = []
    total = 0
    for identifier, size in sizes:
        total += size
        if chosen and most_bytes is not None and total > most_bytes:
            break
        chosen.append(identifier)
    wanted = select(delivery.c.id, delivery.c.received_at, delivery.c.body).where(delivery.c.id.in_(chosen))
    return [Kept(*row) for row in await connection.execute(wanted.order_by(delivery.c.id))]


async def waiting(connection: AsyncConnection) -> int:
    """How many there are that nothing has been made of yet."""
    rows = await connection.execute(select(func.count()).select_from(delivery).where(delivery.c.processed_at.is_(None)))
    return int(rows.scalar_one())


async def mark_processed(connection: AsyncConnection, done: Sequence[Kept], now: datetime) -> None:
    await connection.execute(
        update(delivery).where(delivery.c.id.in_([each.id for each in done])).values(processed_at=now)
    )
