"""Raw deliveries that are not processed yet. `Ledger.accept` stores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import delivery

_is_open = delivery.c.processed_at.is_(None)
# Built once: the engine executes them every second.
_SIZES = (
    select(delivery.c.id, func.length(delivery.c.body))
    .where(_is_open)
    .order_by(delivery.c.id)
    .limit(bindparam("limit"))
)
_UP_TO = (
    select(delivery.c.id, delivery.c.received_at, delivery.c.body)
    .where(delivery.c.id <= bindparam("last_id"), _is_open)
    .order_by(delivery.c.id)
)
_MARK = update(delivery).where(delivery.c.id.in_(bindparam("identifiers", expanding=True)))
_COUNT = select(func.count()).select_from(delivery).where(_is_open)


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
    sizes = await connection.execute(_SIZES, {"limit": limit})
    last_id, total = 0, 0
    for identifier, size in sizes:
        total += size
        if last_id and max_bytes is not None and total > max_bytes:
            break
        last_id = identifier
    if not last_id:
        return []
    return [StoredDelivery(*row) for row in await connection.execute(_UP_TO, {"last_id": last_id})]


async def count_unprocessed(connection: AsyncConnection) -> int:
    """Count the unprocessed deliveries."""
    return int((await connection.execute(_COUNT)).scalar_one())


async def mark_processed(connection: AsyncConnection, batch: Sequence[StoredDelivery], now: datetime) -> None:
    """Mark a batch from `unprocessed` as processed, and no other: one with a lower number may be stored after it."""
    await connection.execute(_MARK, {"identifiers": [each.id for each in batch], "processed_at": now})
