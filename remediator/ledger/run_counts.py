"""Counts of run outcomes, updated in the transaction that moves the run."""

from collections import Counter as CountOf
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.run_row import Run
from remediator.ledger.schema import run, tally
from remediator.model.episode_key import EpisodeKey
from remediator.model.run_state import TRANSITIONS, RunState

_NAMES, _SUMS = ("stack", "remediation", "target", "state", "reason"), ("runs", "acted", "seconds")
# Built once: they are executed at each end of a run.
_ADD = (
    update(tally)
    .where(*(tally.c[name] == bindparam(f"of_{name}") for name in _NAMES))
    .values({name: tally.c[name] + bindparam(f"more_{name}") for name in _SUMS} | {"last_at": bindparam("at")})
)
_INSERT = insert(tally)


class RunCount(NamedTuple):
    """The number of runs with one outcome.

    `acted` of them were admitted and took `seconds` in total.
    """

    stack: str
    remediation: str
    target: str
    state: RunState
    reason: str
    runs: int
    acted: int
    seconds: float
    last_at: datetime


async def count(connection: AsyncConnection, moved_run: Run, counted_as: EpisodeKey, now: datetime) -> None:
    """Count a run that has ended or was deferred under the names of `counted_as`."""
    acted = moved_run.finished_at is not None and moved_run.admitted_at is not None
    seconds = max((now - moved_run.admitted_at).total_seconds(), 0.0) if acted and moved_run.admitted_at else 0.0
    names = counted_as.stack, counted_as.remediation, counted_as.target
    await add(connection, RunCount(*names, moved_run.state, moved_run.reason, 1, int(acted), seconds, now))


async def add(connection: AsyncConnection, more: RunCount) -> None:
    """Add to the count with the same names."""
    row = more._asdict()
    same, sums = {f"of_{name}": row[name] for name in _NAMES}, {f"more_{name}": row[name] for name in _SUMS}
    result = await connection.execute(_ADD, {**same, **sums, "at": more.last_at})
    if not result.rowcount:
        await connection.execute(_INSERT, row)


async def all_counts(connection: AsyncConnection) -> Sequence[RunCount]:
    """Return all counts, in the order in which they first occurred."""
    query = select(*(tally.c[name] for name in RunCount._fields)).order_by(tally.c.id)
    return [RunCount(*row)._replace(state=RunState(row.state)) for row in await connection.execute(query)]


async def open_by_stack(connection: AsyncConnection) -> CountOf[tuple[str, RunState]]:
    """Count the runs that have not ended, by stack and state."""
    query = select(run.c.stack, run.c.state, func.count()).where(run.c.state.in_(TRANSITIONS))
    rows = await connection.execute(query.group_by(run.c.stack, run.c.state))
    return CountOf({(stack, RunState(state)): number for stack, state, number in rows})
