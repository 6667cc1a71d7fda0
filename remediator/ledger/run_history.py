"""The earlier and active runs that bounds and breakers count."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.run_row import Run, from_row
from remediator.ledger.schema import run
from remediator.model.run_state import ACTIVE, RunState, counts_toward_breaker

# Built once: the engine executes the first one every second, the others at each decision.
_REFUSED = (
    select(run)
    .where(run.c.state == RunState.REFUSED, run.c.reason == bindparam("why"), run.c.finished_at > bindparam("since"))
    .order_by(run.c.id)
)
_ACTIVE = select(run).where(run.c.state.in_(sorted(ACTIVE)), run.c.id != bindparam("excluded_run"))
_REJECTED_HASH = (
    select(run.c.plan_hash)
    .where(run.c.episode == bindparam("of_episode"), run.c.state == RunState.REJECTED)
    .order_by(run.c.id.desc())
    .limit(1)
)

_LAST_ADMITTED = (
    select(run)
    .where(
        run.c.stack == bindparam("of_stack"),
        run.c.remediation == bindparam("of_remediation"),
        run.c.target == bindparam("of_target"),
        run.c.admitted_at.is_not(None),
        run.c.finished_at.is_not(None),
        run.c.state != RunState.INTERRUPTED,
        run.c.id != bindparam("excluded_run"),
    )
    .order_by(run.c.finished_at.desc())
    .limit(1)
)
_ADMITTED_SINCE = (
    select(run.c.stack, run.c.remediation, run.c.admitted_at)
    .where(run.c.admitted_at > bindparam("since"), run.c.id != bindparam("excluded_run"))
    .order_by(run.c.admitted_at)
)


class Reservation(NamedTuple):
    """An admission. It counts against the hourly limits, whatever the outcome of its run."""

    stack: str
    remediation: str
    admitted_at: datetime


async def last_admitted(connection: AsyncConnection, current: Run) -> Run | None:
    """Return the admitted run of the same remediation and target that ended last.

    Interrupted runs start no cooldown, so they are skipped: one could hide a run that does.
    """
    names = {"of_stack": current.stack, "of_remediation": current.remediation, "of_target": current.target}
    row = (await connection.execute(_LAST_ADMITTED, {**names, "excluded_run": current.id})).one_or_none()
    return None if row is None else from_row(row)


async def admitted_since(connection: AsyncConnection, since: datetime, excluded_run: int) -> Sequence[Reservation]:
    """Return the reservations since then, oldest first, except that of `excluded_run`."""
    rows = await connection.execute(_ADMITTED_SINCE, {"since": since, "excluded_run": excluded_run})
    return [Reservation(*row) for row in rows]


async def active(connection: AsyncConnection, excluded_run: int) -> Sequence[Run]:
    """Return the active runs, except `excluded_run`."""
    rows = await connection.execute(_ACTIVE, {"excluded_run": excluded_run})
    return [from_row(row) for row in rows]


async def refused_since(connection: AsyncConnection, reason: str, since: datetime) -> Sequence[Run]:
    """Return the runs that were refused for `reason` after `since`, oldest first."""
    rows = await connection.execute(_REFUSED, {"since": since, "why": reason})
    return [from_row(row) for row in rows]


async def rejected_hash(connection: AsyncConnection, episode: int) -> str | None:
    """Return the plan hash that was rejected last in an episode, or None."""
    rows = await connection.execute(_REJECTED_HASH, {"of_episode": episode})
    plan_hash: str | None = rows.scalar_one_or_none()
    return plan_hash


async def breaker_failures_since(connection: AsyncConnection, current: Run, since: datetime) -> int:
    """Count the runs of the same remediation and target that failed or crashed since then."""
    rows = await connection.execute(
        select(run.c.state, run.c.reason).where(
            run.c.stack == current.stack,
            run.c.remediation == current.remediation,
            run.c.target == current.target,
            run.c.finished_at > since,
        )
    )
    return sum(counts_toward_breaker(RunState(row.state), row.reason) for row in rows)
