"""How often each remediation found the same problem on the same target.

One time is the first run of an episode that found something, and each later one that did so after a run that had proved
it clean. Repeated plans of a shadow, further batches and new attempts after a failure are the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, Subquery, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import item, run
from remediator.model.episode_key import EpisodeKey
from remediator.model.remediation import Item
from remediator.model.run_state import RunState

MAX_RUNS = 50  # the newest ones, whose items tell what they have in common
MAX_ITEMS = 2_000


@dataclass(frozen=True)
class Recurrence:
    """How often one remediation found something on one target; `acted` times it was admitted to repair it."""

    key: EpisodeKey
    times: int
    acted: int
    first_at: datetime
    last_at: datetime


async def recurrences_since(
    connection: AsyncConnection, since: datetime, *, stack: str | None = None
) -> Sequence[Recurrence]:
    """Return what was found by runs that ended after `since`, the most frequent first."""
    times = _times(since)
    query = select(
        times.c.stack,
        times.c.remediation,
        times.c.target,
        func.count().label("times"),
        func.count(times.c.admitted_at).label("acted"),
        func.min(times.c.created_at).label("first_at"),
        func.max(times.c.created_at).label("last_at"),
    ).where(*([times.c.stack == stack] if stack is not None else []))
    grouped = query.group_by(times.c.stack, times.c.remediation, times.c.target)
    rows = await connection.execute(grouped.order_by(func.count().desc(), *grouped.selected_columns[:3]))
    return [
        Recurrence(EpisodeKey(row.stack, row.remediation, row.target), row.times, row.acted, row.first_at, row.last_at)
        for row in rows
    ]


async def runs_of(connection: AsyncConnection, key: EpisodeKey, since: datetime) -> Sequence[int]:
    """Return the run of each time, newest first, at most MAX_RUNS."""
    times = _times(since, key)
    rows = await connection.execute(select(times.c.id).order_by(times.c.id.desc()).limit(MAX_RUNS))
    return list(rows.scalars())


async def items_found(connection: AsyncConnection, runs: Sequence[int]) -> Sequence[Item]:
    """Return the items of these runs, at most MAX_ITEMS, those of the newest run first."""
    query = select(item.c.identity, item.c.evidence).where(item.c.run.in_(runs))
    rows = await connection.execute(query.order_by(item.c.run.desc(), item.c.position).limit(MAX_ITEMS))
    return [Item(row.identity, row.evidence) for row in rows]


def _times(since: datetime, key: EpisodeKey | None = None) -> Subquery:
    """Return the runs that count as one time each."""
    runs = _runs_that_found(since, key).subquery()
    is_new = or_(runs.c.former_left_nothing.is_(None), runs.c.former_left_nothing == 1)
    return select(runs).where(is_new).subquery()


def _runs_that_found(since: datetime, key: EpisodeKey | None) -> Select[tuple[object, ...]]:
    """Return the runs that found something; `former_left_nothing` is of the run before it in its episode, or NULL."""
    batch = run.c.settings["batch"].as_integer()
    left_nothing = case((run.c.state == RunState.SUCCEEDED, case((run.c.found > batch, 0), else_=1)), else_=0)
    former = func.lag(left_nothing).over(partition_by=run.c.episode, order_by=run.c.id)
    columns = (run.c.id, run.c.stack, run.c.remediation, run.c.target, run.c.created_at, run.c.admitted_at)
    query = select(*columns, former.label("former_left_nothing")).where(
        run.c.finished_at > since, run.c.found > 0, run.c.undoes.is_(None)
    )
    if key is None:
        return query
    return query.where(run.c.stack == key.stack, run.c.remediation == key.remediation, run.c.target == key.target)
