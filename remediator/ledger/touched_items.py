"""The items that earlier runs may have touched."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import item, run
from remediator.model.episode_key import EpisodeKey
from remediator.model.remediation import Identity, ItemState

# An item that was intended but never settled may have been touched.
_POSSIBLY_TOUCHED = (ItemState.INTENDED, ItemState.APPLIED, ItemState.UNKNOWN)


async def touched_items_since(connection: AsyncConnection, key: EpisodeKey, since: datetime) -> Sequence[Identity]:
    """Return the identities of the items that runs of `key` may have touched since then."""
    rows = await connection.execute(
        select(item.c.identity)
        .join(run, run.c.id == item.c.run)
        .where(run.c.stack == key.stack, run.c.remediation == key.remediation, run.c.target == key.target)
        .where(item.c.state.in_(_POSSIBLY_TOUCHED), item.c.intended_at > since)
        .order_by(item.c.id)
    )
    return [row.identity for row in rows]
