"""How often each remediation found the same problem on the same target.

One time is the first run of an episode that found something, and each later one that did so after a run that had proved
it clean. Repeated plans of a shadow, further batches and new attempts after a failure are the same time. A run that an
operator started without an alert is not one: the operator came back, not the problem. It counts for the remediations in
`by_hand`, which no alert starts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CTE, ColumnElement, case, exists, false, func, or_, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import item, run
from remediator.model.episode_key import EpisodeKey
from remediator.model.remediation import Item
from remediator.model.run_state import RunState

MAX_RUNS = 50  # the newest ones, whose items tell what they have in common
MAX_ITEMS = 2_000


@dataclass(frozen=True)
class Recurrence:
    """How often one remediation found something on one target; `acted` runs were admitted to repair it."""

    key: EpisodeKey
    times: int
    acted: int
    first_at: datetime
    last_at: datetime


async def recurrences_since(
    connection: AsyncConnection,
    since: datetime,
    by_hand: Collection[str],
    key: EpisodeKey | None = None,
    last_run: int | None = None,
) -> Sequence[Recurrence]:
    """Return what was found by runs that ended after `since`, the most frequent first.

    With `last_run`, as it was when that run had made its plan.
    """
    found = _found(since, by_hand, key, last_run)
    names = (found.c.stack, found.c.remediation, found.c.target)
    values = (
        func.count(found.c.episode.distinct()),
        func.count(found.c.admitted_at),
        func.min(found.c.created_at),
        func.max(found.c.created_at),
    )
    rows = await connection.execute(select(*names, *values).group_by(*names))
    repeated = select(*names, func.count()).where(*_found_again(found)).group_by(*names)
    again = {EpisodeKey(*key): number for *key, number in await connection.execute(repeated)}
    recurrences = [
        Recurrence(EpisodeKey(*key), number + again.get(EpisodeKey(*key), 0), acted, first, last)
        for *key, number, acted, first, last in rows
    ]
    return sorted(recurrences, key=lambda each: (-each.times, each.key.stack, each.key.remediation, each.key.target))


async def runs_of(
    connection: AsyncConnection,
    since: datetime,
    by_hand: Collection[str],
    key: EpisodeKey,
    last_run: int | None = None,
) -> Sequence[int]:
    """Return the first run of each time, newest first, at most MAX_RUNS."""
    found = _found(since, by_hand, key, last_run)
    first = select(func.min(found.c.id).label("id")).group_by(found.c.episode)
    again = select(_next_run(found).label("id")).where(*_found_again(found))
    ids = union(first, again).subquery()
    rows = await connection.execute(select(ids.c.id).order_by(ids.c.id.desc()).limit(MAX_RUNS))
    return list(rows.scalars())


async def items_found(connection: AsyncConnection, runs: Sequence[int]) -> Sequence[Item]:
    """Return the items of these runs, at most MAX_ITEMS, those of the newest run first."""
    query = select(item.c.identity, item.c.evidence).where(item.c.run.in_(runs))
    rows = await connection.execute(query.order_by(item.c.run.desc(), item.c.position).limit(MAX_ITEMS))
    return [Item(row.identity, row.evidence) for row in rows]


def _found(since: datetime, by_hand: Collection[str], key: EpisodeKey | None, last_run: int | None) -> CTE:
    """Return the runs that found something; an undo finds only what an earlier run did.

    They are read once and first, by the time or the target: SQLite would else go through all runs in the order of the
    groups.
    """
    batch = run.c.settings["batch"].as_integer()
    left_nothing = case((run.c.state == RunState.SUCCEEDED, or_(batch.is_(None), run.c.found <= batch)), else_=false())
    columns = (
        run.c.id,
        run.c.stack,
        run.c.remediation,
        run.c.target,
        run.c.episode,
        run.c.created_at,
        run.c.admitted_at,
    )
    conditions = [run.c.finished_at > since, run.c.found > 0, func.coalesce(run.c.undoes, 0) == 0]
    conditions.append(or_(run.c.remediation.in_(by_hand), _answers_an_alert()))
    if key is not None:
        conditions += [run.c.stack == key.stack, run.c.remediation == key.remediation, run.c.target == key.target]
    if last_run is not None:
        conditions[0] = or_(run.c.finished_at > since, run.c.id == last_run)
        conditions.append(run.c.id <= last_run)
    query = select(*columns, left_nothing.label("left_nothing")).where(*conditions)
    return query.cte("found_something").prefix_with("MATERIALIZED")


def _answers_an_alert() -> ColumnElement[bool]:
    """Return whether an alert started the run, or another run of its episode."""
    other = run.alias()
    return exists().where(other.c.episode == run.c.episode, other.c.trigger == "alert").correlate(run)


def _found_again(found: CTE) -> Sequence[ColumnElement[bool]]:
    """Return the conditions of runs that were proved clean and left no rest, before one that found something again."""
    return found.c.left_nothing, _next_run(found).is_not(None)


def _next_run(found: CTE) -> ColumnElement[int | None]:
    """Return the next run of the same episode that found something, or NULL."""
    same = (run.c.episode == found.c.episode, run.c.id > found.c.id, run.c.found > 0, run.c.finished_at.is_not(None))
    return select(func.min(run.c.id)).where(*same).correlate(found).scalar_subquery()
