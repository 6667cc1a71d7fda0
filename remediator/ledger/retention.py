"""What the ledger forgets, and when. Each step is small, so that nobody waits long for the writer's turn.

The audit trail is cut at its beginning only, and the cut is an event of the trail itself: it names the last row that
went, by its hash, so that what is left is still proved from there on.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.protocol import Ledger
from remediator.ledger.schema import audit as trail
from remediator.ledger.schema import breaker, delivery, episode, item, outbox, resolution, run, storm
from remediator.model.run_state import TRANSITIONS

DELIVERIES_KEPT = timedelta(days=30)
RECORD_KEPT = timedelta(days=400)
RESOLUTIONS_KEPT = timedelta(days=1)
STEP = 1_000  # rows of one table in one transaction


async def forget(ledger: Ledger, now: datetime) -> bool:
    """Take one step in each table, each in a transaction of its own; return whether there is more to do.

    Raises:
        LedgerUnavailable: the rest is for the next time.
    """
    gone = []
    for step in (_deliveries, _messages, _alerts, _runs, _episodes, _trail):
        async with ledger.write() as connection:
            gone.append(await step(connection, now))
    return max(gone) >= STEP


async def _deliveries(connection: AsyncConnection, now: datetime) -> int:
    """Those that nothing was made of stay, however old."""
    limit = now - DELIVERIES_KEPT
    old = select(delivery.c.id).where(delivery.c.processed_at.is_not(None), delivery.c.received_at < limit)
    gone = await connection.execute(delete(delivery).where(delivery.c.id.in_(old.limit(STEP))))
    return gone.rowcount


async def _messages(connection: AsyncConnection, now: datetime) -> int:
    """Of an open episode they stay: they say who has been told already."""
    limit = now - DELIVERIES_KEPT
    over = exists().where(episode.c.id == outbox.c.episode, episode.c.ended_at.is_not(None))
    old = select(outbox.c.id).where(outbox.c.sent_at.is_not(None), outbox.c.sent_at < limit, over).limit(STEP)
    return (await connection.execute(delete(outbox).where(outbox.c.id.in_(old)))).rowcount


async def _alerts(connection: AsyncConnection, now: datetime) -> int:
    """The last storm stays: its cooldown may be longer than a day."""
    limit = now - RESOLUTIONS_KEPT
    last = select(func.max(storm.c.seen_at)).scalar_subquery()
    await connection.execute(delete(storm).where(storm.c.seen_at < limit, storm.c.seen_at < last))
    old = select(resolution.c.alert).where(resolution.c.resolved_at < limit).limit(STEP)
    return (await connection.execute(delete(resolution).where(resolution.c.alert.in_(old)))).rowcount


async def _runs(connection: AsyncConnection, now: datetime) -> int:
    """Ended runs, and their items; one that keeps a breaker open stays as the reason why."""
    limit = now - RECORD_KEPT
    lately = or_(breaker.c.closed_at.is_(None), breaker.c.closed_at >= limit)
    holding = exists().where(breaker.c.run == run.c.id, lately)
    ended = select(run.c.id).where(run.c.state.not_in(TRANSITIONS), run.c.finished_at < limit, ~holding)
    old = [row.id for row in await connection.execute(ended.limit(STEP))]
    await connection.execute(delete(breaker).where(breaker.c.run.in_(old)))
    await connection.execute(delete(item).where(item.c.run.in_(old)))
    return (await connection.execute(delete(run).where(run.c.id.in_(old)))).rowcount


async def _episodes(connection: AsyncConnection, now: datetime) -> int:
    limit = now - RECORD_KEPT
    used, told = exists().where(run.c.episode == episode.c.id), exists().where(outbox.c.episode == episode.c.id)
    old = select(episode.c.id).where(episode.c.ended_at < limit, ~used, ~told).limit(STEP)
    return (await connection.execute(delete(episode).where(episode.c.id.in_(old)))).rowcount


async def _trail(connection: AsyncConnection, now: datetime) -> int:
    """Cut what stands before the first row that is young enough; a clock that was set back makes no hole.

    The last row stays whatever its age: the next one follows from it.
    """
    limit, head = now - RECORD_KEPT, select(func.max(trail.c.id)).scalar_subquery()
    wanted = select(trail.c.id, trail.c.at, trail.c.hash).where(trail.c.id < head).order_by(trail.c.id).limit(STEP)
    oldest = (await connection.execute(wanted)).all()
    young = next((place for place, row in enumerate(oldest) if row.at >= limit), len(oldest))
    if young == 0:
        return 0
    last = oldest[young - 1]
    await connection.execute(delete(trail).where(trail.c.id <= last.id))
    detail = {"through": last.id, "hash": last.hash}
    await audit.append(connection, now, audit.CUT, detail=detail)
    return young
