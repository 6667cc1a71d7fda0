"""Pages of runs, newest first, in a time that the size of the ledger does not change."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.runs import Run, from_row
from remediator.ledger.schema import run
from remediator.model.run_state import RunState

FEW = 5_000  # matches of one of several filters; all of up to this number are looked through
WINDOW = 20_000  # runs looked through at once if each of several filters has more matches

Condition = ColumnElement[bool]


@dataclass(frozen=True)
class RunPage:
    """A page of runs; `next` is the `before` of the next page, or None at the end.

    With several filters a page may hold fewer runs than its limit, even none, and still have a `next`.
    """

    runs: Sequence[Run]
    next: int | None


@dataclass(frozen=True)
class _Candidates:
    """The runs among which several filters look; `oldest` is the last one if older runs may match as well."""

    ids: Select[tuple[int]]
    oldest: int | None


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
    filters = _filters(stack, remediation, state)
    older = [run.c.id < before] if before is not None else []
    query = select(run).where(*filters, *older).order_by(run.c.id.desc()).limit(limit + 1)
    oldest = None
    if len(filters) > 1:  # a database would use the index of one of them, perhaps that of the most frequent value
        candidates = await _candidates(connection, filters, older)
        query, oldest = query.where(run.c.id.in_(candidates.ids)), candidates.oldest
    runs = [from_row(row) for row in await connection.execute(query)]
    return RunPage(runs[:limit], runs[limit - 1].id if len(runs) > limit else oldest)


async def has_runs(connection: AsyncConnection, *, stack: str | None = None, remediation: str | None = None) -> bool:
    """Return whether any run is of this stack, or of this remediation."""
    query = select(run.c.id).where(*_filters(stack, remediation, None)).limit(1)
    return (await connection.execute(query)).first() is not None


def _filters(
    stack: str | None, remediation: str | None, state: RunState | Sequence[RunState] | None
) -> list[Condition]:
    filters = [
        column == value
        for column, value in ((run.c.stack, stack), (run.c.remediation, remediation))
        if value is not None
    ]
    if state:
        filters.append(run.c.state.in_([state] if isinstance(state, RunState) else state))
    return filters


async def _candidates(
    connection: AsyncConnection, filters: Sequence[Condition], older: Sequence[Condition]
) -> _Candidates:
    """Return all matches of a filter that has few; else the next WINDOW matches of the first filter."""
    for each in filters:
        some = select(run.c.id).where(each).limit(FEW + 1).subquery()
        if (await connection.execute(select(func.count()).select_from(some))).scalar_one() <= FEW:
            return _Candidates(select(run.c.id).where(each), None)
    ids = select(run.c.id).where(filters[0], *older).order_by(run.c.id.desc()).limit(WINDOW)
    window = ids.subquery()
    number, oldest = (await connection.execute(select(func.count(), func.min(window.c.id)))).one()
    return _Candidates(ids, oldest if number == WINDOW else None)
