"""What earlier runs have touched."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import item, run
from remediator.model.episode_key import Key
from remediator.model.remediation import Identity, ItemState

# What was intended and never settled may have happened.
_MAY_HAVE_BEEN = (ItemState.INTENDED, ItemState.APPLIED, ItemState.UNKNOWN)


async def touched_since(connection: AsyncConnection, key: Key, since: datetime) -> Sequence[Identity]:
    """The identity of every item that a run of `key` may have touched since then, oldest first."""
    rows = await connection.execute(
        select(item.c.identity)
        .join(run, run.c.id == item.c.run)
        .where(run.c.stack == key.stack, run.c.remediation == key.remediation, run.c.target == key.target)
        .where(item.c.state.in_(_MAY_HAVE_BEEN), item.c.intended_at > since)
        .order_by(item.c.id)
    )
    return [row.identity for row in rows]
