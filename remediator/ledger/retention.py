"""Deletes expired rows in small steps, so that other writers never wait long.

The ledger itself cuts the audit trail, because on PostgreSQL the remediator's role cannot delete its rows.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import run_counts
from remediator.ledger.console_sessions import KNOWN_FOR
from remediator.ledger.protocol import RECORD_RETENTION, STEP_ROWS, LeaderLedger
from remediator.ledger.run_counts import RunCount
from remediator.ledger.schema import (
    acknowledgement,
    breaker,
    console_session,
    delivery,
    episode,
    item,
    outbox,
    planned_undo,
    question,
    resolution,
    run,
    sign_in_failure,
    storm,
    tally,
)
from remediator.ledger.sign_in_failures import FORGOTTEN_AFTER
from remediator.model.episode_key import UNKNOWN_NAME
from remediator.model.run_state import TRANSITIONS

DELIVERY_RETENTION = timedelta(days=30)
RESOLUTION_RETENTION = timedelta(days=1)


async def delete_expired(ledger: LeaderLedger, now: datetime) -> bool:
    """Delete one step of rows per table, each in its own transaction.

    Return whether more rows may remain.

    Raises:
        LedgerUnavailable: the next call deletes the rest.
    """
    row_counts = []
    for step in (
        _delete_deliveries,
        _delete_messages,
        _delete_alert_records,
        _delete_questions,
        _delete_sign_ins,
        _delete_runs,
        _delete_episodes,
        _fold_counts,
        ledger.cut_trail,
    ):
        async with ledger.write() as connection:
            row_counts.append(await step(connection, now))
    return max(row_counts) >= STEP_ROWS


async def _delete_deliveries(connection: AsyncConnection, now: datetime) -> int:
    """Delete processed deliveries; unprocessed ones stay at any age."""
    limit = now - DELIVERY_RETENTION
    expired_ids = select(delivery.c.id).where(delivery.c.processed_at.is_not(None), delivery.c.received_at < limit)
    result = await connection.execute(delete(delivery).where(delivery.c.id.in_(expired_ids.limit(STEP_ROWS))))
    return result.rowcount


async def _delete_messages(connection: AsyncConnection, now: datetime) -> int:
    """Delete sent messages of ended episodes and of none; those of open ones record who was notified."""
    limit = now - DELIVERY_RETENTION
    has_open_episode = exists().where(episode.c.id == outbox.c.episode, episode.c.ended_at.is_(None))
    expired_ids = (
        select(outbox.c.id)
        .where(outbox.c.sent_at.is_not(None), outbox.c.sent_at < limit, ~has_open_episode)
        .limit(STEP_ROWS)
    )
    return (await connection.execute(delete(outbox).where(outbox.c.id.in_(expired_ids)))).rowcount


async def _delete_alert_records(connection: AsyncConnection, now: datetime) -> int:
    """Delete resolutions and storms, but not the last storm: its cooldown may exceed a day."""
    limit = now - RESOLUTION_RETENTION
    last_storm = select(func.max(storm.c.seen_at)).scalar_subquery()
    await connection.execute(delete(storm).where(storm.c.seen_at < limit, storm.c.seen_at < last_storm))
    expired_alerts = select(resolution.c.alert).where(resolution.c.resolved_at < limit).limit(STEP_ROWS)
    return (await connection.execute(delete(resolution).where(resolution.c.alert.in_(expired_alerts)))).rowcount


async def _delete_questions(connection: AsyncConnection, now: datetime) -> int:
    """Delete old questions; the run of a confirmed one keeps its items."""
    expired_ids = select(question.c.id).where(question.c.asked_at < now - DELIVERY_RETENTION).limit(STEP_ROWS)
    return (await connection.execute(delete(question).where(question.c.id.in_(expired_ids)))).rowcount


async def _delete_sign_ins(connection: AsyncConnection, now: datetime) -> int:
    """Delete forgotten failures, and sessions that no longer make an address known."""
    is_forgotten = sign_in_failure.c.last_at < now - FORGOTTEN_AFTER
    addresses = select(sign_in_failure.c.address).where(is_forgotten).limit(STEP_ROWS)
    await connection.execute(delete(sign_in_failure).where(is_forgotten, sign_in_failure.c.address.in_(addresses)))
    limit = now - KNOWN_FOR
    old = select(console_session.c.id).where(console_session.c.created_at < limit, console_session.c.seen_at < limit)
    return (
        await connection.execute(delete(console_session).where(console_session.c.id.in_(old.limit(STEP_ROWS))))
    ).rowcount


async def _delete_runs(connection: AsyncConnection, now: datetime) -> int:
    """Delete ended runs with their items, unless their breaker is or was recently open, or they will be undone."""
    limit = now - RECORD_RETENTION
    open_or_recently_closed = or_(breaker.c.closed_at.is_(None), breaker.c.closed_at >= limit)
    has_breaker = exists().where(breaker.c.run == run.c.id, open_or_recently_closed)
    will_be_undone = exists().where(planned_undo.c.run == run.c.id, planned_undo.c.closed_at.is_(None))
    expired_query = select(run.c.id).where(
        run.c.state.not_in(TRANSITIONS), run.c.finished_at < limit, ~has_breaker, ~will_be_undone
    )
    expired_ids = [row.id for row in await connection.execute(expired_query.limit(STEP_ROWS))]
    await connection.execute(delete(breaker).where(breaker.c.run.in_(expired_ids)))
    await connection.execute(delete(planned_undo).where(planned_undo.c.run.in_(expired_ids)))
    await connection.execute(delete(item).where(item.c.run.in_(expired_ids)))
    return (await connection.execute(delete(run).where(run.c.id.in_(expired_ids)))).rowcount


async def _delete_episodes(connection: AsyncConnection, now: datetime) -> int:
    limit = now - RECORD_RETENTION
    has_runs, has_messages = (
        exists().where(run.c.episode == episode.c.id),
        exists().where(outbox.c.episode == episode.c.id),
    )
    expired_query = select(episode.c.id).where(episode.c.ended_at < limit, ~has_runs, ~has_messages)
    expired_ids = [row.id for row in await connection.execute(expired_query.limit(STEP_ROWS))]
    await connection.execute(delete(acknowledgement).where(acknowledgement.c.episode.in_(expired_ids)))
    return (await connection.execute(delete(episode).where(episode.c.id.in_(expired_ids)))).rowcount


async def _fold_counts(connection: AsyncConnection, now: datetime) -> int:
    """Add the counts of targets without a recent run to one row: queues come and go, but no counter may fall."""
    is_old = tally.c.last_at < now - RECORD_RETENTION, tally.c.target != UNKNOWN_NAME
    rows = (await connection.execute(select(tally).where(*is_old).limit(STEP_ROWS))).all()
    for row in rows:
        await run_counts.add(connection, RunCount(*row[1:])._replace(target=UNKNOWN_NAME))
    await connection.execute(delete(tally).where(tally.c.id.in_([row.id for row in rows])))
    return len(rows)
