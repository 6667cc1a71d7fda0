"""The runs whose effects the engine undoes by itself, after a duration or once their episode is over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.runs import Run
from remediator.ledger.schema import episode, planned_undo, run
from remediator.model.clock import rfc3339
from remediator.model.episode_key import EpisodeKey

_is_over = planned_undo.c.due_at.is_(None) & episode.c.ended_at.is_not(None)
_is_due = or_(planned_undo.c.due_at <= bindparam("now"), _is_over)
_DUE = (
    select(run.c.id, run.c.stack, run.c.remediation, run.c.target)
    .select_from(planned_undo.join(run, run.c.id == planned_undo.c.run).join(episode, episode.c.id == run.c.episode))
    .where(planned_undo.c.closed_at.is_(None), _is_due)
    .order_by(run.c.id.desc())
)


@dataclass(frozen=True)
class DueUndo:
    """A run whose effects are to be undone now."""

    run: int
    key: EpisodeKey


async def plan_undo(connection: AsyncConnection, succeeded: Run, due_at: datetime | None, now: datetime) -> None:
    """Record that the engine undoes a run: at `due_at`, or if None once its episode is over."""
    await connection.execute(insert(planned_undo).values(run=succeeded.id, due_at=due_at))
    detail = {"due_at": rfc3339(due_at)} if due_at is not None else {"with_episode": succeeded.episode}
    await audit.append(connection, now, "undo_planned", run=succeeded.id, detail=detail)


async def due_undos(connection: AsyncConnection, now: datetime) -> Sequence[DueUndo]:
    """Return what is due, the newest run first: effects that build on each other are undone in reverse."""
    rows = await connection.execute(_DUE, {"now": now})
    return [DueUndo(row.id, EpisodeKey(row.stack, row.remediation, row.target)) for row in rows]


async def is_open(connection: AsyncConnection, identifier: int) -> bool:
    """Return whether the engine still has to undo the run with this number."""
    is_planned = planned_undo.c.run == identifier, planned_undo.c.closed_at.is_(None)
    return (await connection.execute(select(planned_undo.c.id).where(*is_planned))).first() is not None


async def postpone(connection: AsyncConnection, identifier: int, due_at: datetime) -> None:
    """Let the engine try again at `due_at`."""
    is_planned = planned_undo.c.run == identifier, planned_undo.c.closed_at.is_(None)
    await connection.execute(update(planned_undo).where(*is_planned).values(due_at=due_at))


async def close(connection: AsyncConnection, identifier: int, outcome: str, now: datetime) -> None:
    """Record how the undo of the run with this number ended, if the engine still had to undo it."""
    is_planned = planned_undo.c.run == identifier, planned_undo.c.closed_at.is_(None)
    result = await connection.execute(update(planned_undo).where(*is_planned).values(closed_at=now, outcome=outcome))
    if result.rowcount:
        await audit.append(connection, now, "undo_closed", run=identifier, detail={"outcome": outcome})
