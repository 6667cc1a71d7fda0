"""Deletes expired rows in small steps, so that other writers never wait long.

The ledger itself cuts the audit trail, because on PostgreSQL the remediator's role cannot delete its rows.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, Table, bindparam, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import run_counts
from remediator.ledger.console_sessions import KNOWN_FOR
from remediator.ledger.protocol import RECORD_RETENTION, STEP_ROWS, LeaderLedger
from remediator.ledger.run_counts import RunCount
from remediator.ledger.schema import (
    Instant,
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

# Built once: a replay of a month executes each a thousand times.
_before = bindparam("before", type_=Instant())


def _step(table: Table, key: ColumnElement[Any], *is_expired: ColumnElement[bool]) -> Delete:
    """Return the statement that deletes one step of expired rows."""
    return delete(table).where(key.in_(select(key).where(*is_expired).limit(STEP_ROWS)))


def _these(table: Table, key: ColumnElement[Any]) -> Delete:
    """Return the statement that deletes the rows of what a step has found."""
    return delete(table).where(key.in_(bindparam("expired", expanding=True)))


_DELIVERIES = _step(delivery, delivery.c.id, delivery.c.processed_at.is_not(None), delivery.c.received_at < _before)
_has_open_episode = exists().where(episode.c.id == outbox.c.episode, episode.c.ended_at.is_(None))
_MESSAGES = _step(outbox, outbox.c.id, outbox.c.sent_at.is_not(None), outbox.c.sent_at < _before, ~_has_open_episode)
_last_storm = select(func.max(storm.c.id)).scalar_subquery()
_STORMS = delete(storm).where(storm.c.seen_at < _before, storm.c.id < _last_storm)
_RESOLUTIONS = _step(resolution, resolution.c.alert, resolution.c.resolved_at < _before)
_QUESTIONS = _step(question, question.c.id, question.c.asked_at < _before)
_is_forgotten = sign_in_failure.c.last_at < _before
_SIGN_IN_FAILURES = _step(sign_in_failure, sign_in_failure.c.address, _is_forgotten).where(_is_forgotten)
_SESSIONS = _step(
    console_session, console_session.c.id, console_session.c.created_at < _before, console_session.c.seen_at < _before
)
_open_or_recently_closed = or_(breaker.c.closed_at.is_(None), breaker.c.closed_at >= _before)
_has_breaker = exists().where(breaker.c.run == run.c.id, _open_or_recently_closed)
_will_be_undone = exists().where(planned_undo.c.run == run.c.id, planned_undo.c.closed_at.is_(None))
_has_ended = run.c.state.not_in(TRANSITIONS), run.c.finished_at < _before
_EXPIRED_RUNS = select(run.c.id).where(*_has_ended, ~_has_breaker, ~_will_be_undone).limit(STEP_ROWS)
_PARTS_OF_RUNS = [_these(each, each.c.run) for each in (breaker, planned_undo, item)]
_RUNS = _these(run, run.c.id)
_has_runs = exists().where(run.c.episode == episode.c.id)
_has_messages = exists().where(outbox.c.episode == episode.c.id)
_EXPIRED_EPISODES = (
    select(episode.c.id).where(episode.c.ended_at < _before, ~_has_runs, ~_has_messages).limit(STEP_ROWS)
)
_ACKNOWLEDGEMENTS, _EPISODES = _these(acknowledgement, acknowledgement.c.episode), _these(episode, episode.c.id)
_OLD_COUNTS = select(tally).where(tally.c.last_at < _before, tally.c.target != UNKNOWN_NAME).limit(STEP_ROWS)
_COUNTS = _these(tally, tally.c.id)


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
    return (await connection.execute(_DELIVERIES, {"before": now - DELIVERY_RETENTION})).rowcount


async def _delete_messages(connection: AsyncConnection, now: datetime) -> int:
    """Delete sent messages of ended episodes and of none; those of open ones record who was notified."""
    return (await connection.execute(_MESSAGES, {"before": now - DELIVERY_RETENTION})).rowcount


async def _delete_alert_records(connection: AsyncConnection, now: datetime) -> int:
    """Delete resolutions and storms, which a replay counts; but not the last storm: its cooldown may be long."""
    await connection.execute(_STORMS, {"before": now - RECORD_RETENTION})
    return (await connection.execute(_RESOLUTIONS, {"before": now - RESOLUTION_RETENTION})).rowcount


async def _delete_questions(connection: AsyncConnection, now: datetime) -> int:
    """Delete old questions; the run of a confirmed one keeps its items."""
    return (await connection.execute(_QUESTIONS, {"before": now - DELIVERY_RETENTION})).rowcount


async def _delete_sign_ins(connection: AsyncConnection, now: datetime) -> int:
    """Delete forgotten failures, and sessions that no longer make an address known."""
    await connection.execute(_SIGN_IN_FAILURES, {"before": now - FORGOTTEN_AFTER})
    return (await connection.execute(_SESSIONS, {"before": now - KNOWN_FOR})).rowcount


async def _delete_runs(connection: AsyncConnection, now: datetime) -> int:
    """Delete ended runs with their items, unless their breaker is or was recently open, or they will be undone."""
    rows = await connection.execute(_EXPIRED_RUNS, {"before": now - RECORD_RETENTION})
    expired = {"expired": [row.id for row in rows]}
    for delete_part in _PARTS_OF_RUNS:
        await connection.execute(delete_part, expired)
    return (await connection.execute(_RUNS, expired)).rowcount


async def _delete_episodes(connection: AsyncConnection, now: datetime) -> int:
    rows = await connection.execute(_EXPIRED_EPISODES, {"before": now - RECORD_RETENTION})
    expired = {"expired": [row.id for row in rows]}
    await connection.execute(_ACKNOWLEDGEMENTS, expired)
    return (await connection.execute(_EPISODES, expired)).rowcount


async def _fold_counts(connection: AsyncConnection, now: datetime) -> int:
    """Add the counts of targets without a recent run to one row: queues come and go, but no counter may fall."""
    rows = (await connection.execute(_OLD_COUNTS, {"before": now - RECORD_RETENTION})).all()
    for row in rows:
        await run_counts.add(connection, RunCount(*row[1:])._replace(target=UNKNOWN_NAME))
    await connection.execute(_COUNTS, {"expired": [row.id for row in rows]})
    return len(rows)
