"""Pages of runs, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.runs import Run, from_row
from remediator.ledger.schema import run
from remediator.model.run_state import RunState


@dataclass(frozen=True)
class RunPage:
    """A page of runs; `next` is the `before` of the next page, or None at the end."""

    runs: Sequence[Run]
    next: int | None


async def list_runs(
    connection: AsyncConnection,
    *,
    limit: int,
    stack: str | None = None,
    remediation: str | None = None,
    state: RunState | Sequence[RunState] | None = None,
    before: int | None = None,
) -> RunPage:
    """Return at most `limit` runs older than the run `before`, in one of the states if any are given."""
    query = select(run).order_by(run.c.id.desc()).limit(limit + 1)
    for column, value in ((run.c.stack, stack), (run.c.remediation, remediation)):
        if value is not None:
            query = query.where(column == value)
    if state:
        query = query.where(run.c.state.in_([state] if isinstance(state, RunState) else state))
    if before is not None:
        query = query.where(run.c.id < before)
    runs = [from_row(row) for row in await connection.execute(query)]
    return RunPage(runs[:limit], runs[limit - 1].id if len(runs) > limit else None)
