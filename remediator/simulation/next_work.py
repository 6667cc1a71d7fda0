"""When the engine has work next, so that a simulation need not run the rounds that would find none.

A live engine runs a round every second. In a simulation a round is run for each delivery, each end of a run, each act
of an operator, and at the moments that this file finds in the ledger. A test compares both.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.calendar.announcements import announcements
from remediator.context import Context
from remediator.engine.engine import TICK_SECONDS, Engine
from remediator.engine.housekeeping import CALENDAR_SECONDS
from remediator.ledger import episodes
from remediator.ledger.due_episodes import candidates
from remediator.ledger.schema import LedgerRow, episode, planned_undo, run
from remediator.model.clock import is_recent
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import TRANSITIONS, UNKNOWN_TARGET, RunState
from remediator.model.target import keys_of
from runbookd.inventory import Inventory

LONGEST_WAIT = timedelta(days=1)
UNREPORTED_FOR = timedelta(minutes=20)  # see escalation/unknown_targets.py
WAITING = frozenset({RunState.DEFERRED, RunState.AWAITING_APPROVAL})
_RUN_COLUMNS = (run.c.id, run.c.state, run.c.trigger, run.c.approved_by, run.c.not_before, run.c.deferred_at)
_UNFINISHED = (
    select(*_RUN_COLUMNS, run.c.expires_at, episode.c.confirmed_at)
    .join(episode, episode.c.id == run.c.episode)
    .where(run.c.state.in_([str(state) for state in TRANSITIONS]))
)
_NEXT_UNDO = select(func.min(planned_undo.c.due_at)).where(planned_undo.c.closed_at.is_(None))
_UNDO_AFTER_END = (
    select(planned_undo.c.id)
    .join(run, run.c.id == planned_undo.c.run)
    .join(episode, episode.c.id == run.c.episode)
    .where(planned_undo.c.closed_at.is_(None), planned_undo.c.due_at.is_(None), episode.c.ended_at.is_not(None))
    .limit(1)
)
_OPEN = select(episode.c.stack, episode.c.remediation, episode.c.target, episode.c.confirmed_at).where(
    episode.c.ended_at.is_(None)
)
_UNKNOWN_TARGETS = (
    select(run.c.id)
    .where(run.c.state == RunState.REFUSED, run.c.reason == UNKNOWN_TARGET, run.c.finished_at > bindparam("since"))
    .limit(1)
)


async def seconds_until_work(context: Context, engine: Engine, *, with_messages: bool) -> float:
    """Return how long the engine has nothing to do, if nothing happens before."""
    now = context.clock.now()
    try:
        async with context.ledger.read() as connection:
            first = min(await _run_moments(connection, engine, now), default=now + LONGEST_WAIT)
            if first > now:
                first = min([first, *await _other_moments(connection, context, engine, now)])
            if first > now and with_messages:
                first = min([first, *await _message_moments(connection, context.inventory, now)])
    except LedgerUnavailable:  # the engine finds out when it is available again
        return TICK_SECONDS
    return (min(max(first, now), now + LONGEST_WAIT) - now).total_seconds()


async def _run_moments(connection: AsyncConnection, engine: Engine, now: datetime) -> Sequence[datetime]:
    driven = engine.driven_runs
    waiting = [_ready_at(row, now) for row in await connection.execute(_UNFINISHED) if row.id not in driven]
    due = [engine.due_at(candidate) for candidate in await candidates(connection, now)]
    return [each for each in (*waiting, *due) if each is not None]


async def _other_moments(
    connection: AsyncConnection, context: Context, engine: Engine, now: datetime
) -> Sequence[datetime]:
    moments = []
    next_round = now + timedelta(seconds=TICK_SECONDS)
    undo_at = (await connection.execute(_NEXT_UNDO)).scalar_one()
    if undo_at is not None:
        moments.append(undo_at if undo_at > now else next_round)  # it waits for a pause or a freeze
    if (await connection.execute(_UNDO_AFTER_END)).first() is not None:
        moments.append(next_round)
    return [*moments, *await _vanishing_moments(connection, context, engine, now)]


def _ready_at(row: LedgerRow, now: datetime) -> datetime | None:
    """Return when an unfinished run can continue, or expires; None if only an event lets it."""
    if RunState(row.state) not in WAITING:
        return now + timedelta(seconds=TICK_SECONDS)  # it waits for its turn, or a crash has left it
    expires_at: datetime = row.expires_at
    if row.state == RunState.AWAITING_APPROVAL:
        return now if row.approved_by is not None else expires_at
    may_continue = row.confirmed_at > row.deferred_at or row.trigger != "alert"
    return min(row.not_before, expires_at) if may_continue else expires_at


async def _vanishing_moments(
    connection: AsyncConnection, context: Context, engine: Engine, now: datetime
) -> Sequence[datetime]:
    """Return when the engine looks for vanished episodes: at each check, while one that fires no more is open."""
    span = context.repeat_interval
    rows = (await connection.execute(_OPEN)).all()
    recent = [row.confirmed_at for row in rows if is_recent(row.confirmed_at, span, now)]
    others = [row for row in rows if not is_recent(row.confirmed_at, span, now)]
    moments = [min(recent) + span + timedelta.resolution] if recent else []
    if others and not await _all_fire(context, others):
        seconds = engine.housekeeping.next_vanished_check - asyncio.get_running_loop().time()
        moments.append(now + timedelta(seconds=max(seconds, 0.0)))
    return moments


async def _all_fire(context: Context, rows: Sequence[LedgerRow]) -> bool:
    """Return whether Alertmanager lists alerts of all these episodes."""
    if context.alertmanager is None:
        return False
    firing = keys_of((each.labels for each in await context.alertmanager.active()), context.remediations)
    return all(EpisodeKey(row.stack, row.remediation, row.target) in firing for row in rows)


async def _message_moments(connection: AsyncConnection, inventory: Inventory, now: datetime) -> Sequence[datetime]:
    next_round = timedelta(seconds=TICK_SECONDS)
    sent = (each for each in announcements(inventory, now, now + LONGEST_WAIT) if each.announcement.contacts)
    moments = [each.due_at + next_round for each in sent]
    if await _reminds(connection, inventory):
        moments.append(now + timedelta(seconds=CALENDAR_SECONDS))
    parameters = {"since": now - UNREPORTED_FOR}
    if (await connection.execute(_UNKNOWN_TARGETS, parameters)).first() is not None:
        moments.append(now + next_round)
    return moments


async def _reminds(connection: AsyncConnection, inventory: Inventory) -> bool:
    """Return whether an alert fires of which a stack wants to be reminded."""
    priorities = {
        (name, priority)
        for name, stack in inventory.stacks.items()
        for reminder in stack.reminders.values()
        for priority in reminder.priorities
    }
    if not priorities:
        return False
    return any((each.stack, each.priority) in priorities for each in await episodes.all_open(connection))
