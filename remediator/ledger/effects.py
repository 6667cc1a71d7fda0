"""The items of a run: planned, then intended, then settled with an outcome."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit, runs
from remediator.ledger.runs import Run, StaleRun
from remediator.ledger.schema import item, run
from remediator.model.cuts import MAX_DETAIL, cut_text, cut_values
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan

# Built once: they are executed at each plan and each effect.
_DELETE_OF_RUN = delete(item).where(item.c.run == bindparam("of_run"))
_INSERT = insert(item)
_SAVE_SIZE = update(run).where(run.c.id == bindparam("which"))
_OF_RUNS = select(item).where(item.c.run.in_(bindparam("runs", expanding=True))).order_by(item.c.run, item.c.position)
_INTEND = update(item).where(
    item.c.run == bindparam("of_run"),
    item.c.position.in_(bindparam("positions", expanding=True)),
    item.c.state == ItemState.PLANNED,
)
_SETTLE = update(item).where(
    item.c.run == bindparam("of_run"),
    item.c.position == bindparam("at_position"),
    item.c.state == ItemState.INTENDED,
)


@dataclass(frozen=True)
class RunItem:
    """One item of a run, with its state."""

    position: int
    item: Item
    state: ItemState
    detail: str


async def save_plan(connection: AsyncConnection, current: Run, plan: Plan) -> Run:
    """Replace the planned items of a run that has touched nothing yet."""
    await connection.execute(_DELETE_OF_RUN, {"of_run": current.id})
    rows = [
        {
            "run": current.id,
            "position": position,
            "identity": dict(planned_item.identity),
            "evidence": cut_values(planned_item.evidence),
            "state": ItemState.PLANNED,
        }
        for position, planned_item in enumerate(plan.items)
    ]
    if rows:
        await connection.execute(_INSERT, rows)
    size = {"found": plan.found, "population": plan.population, "plan_hash": hash_items(plan.items)}
    evidence = {**current.evidence, "plan": cut_values(plan.evidence)}
    await connection.execute(_SAVE_SIZE, {"which": current.id, **size, "evidence": evidence})
    return await runs.get(connection, current.id)


def hash_items(items: Sequence[Item]) -> str:
    """Return a fingerprint of exactly these items."""
    return hashlib.sha256(json.dumps([dict(each.identity) for each in items], sort_keys=True).encode()).hexdigest()


async def items(connection: AsyncConnection, identifier: int) -> Sequence[RunItem]:
    """Return the items of a run, in order."""
    return (await items_of(connection, [identifier]))[identifier]


async def items_of(connection: AsyncConnection, identifiers: Sequence[int]) -> Mapping[int, Sequence[RunItem]]:
    """Return the items of several runs, with one query."""
    items_by_run: dict[int, list[RunItem]] = {identifier: [] for identifier in identifiers}
    for row in await connection.execute(_OF_RUNS, {"runs": list(identifiers)}):
        run_item = RunItem(row.position, Item(row.identity, row.evidence), ItemState(row.state), row.detail)
        items_by_run[row.run].append(run_item)
    return items_by_run


async def intend(connection: AsyncConnection, current: Run, run_items: Sequence[RunItem], now: datetime) -> None:
    """Record the items that are about to be touched. An item is intended at most once, ever.

    Raises:
        StaleRun: an item is no longer just planned, or the run has been taken over.
    """
    positions = [each.position for each in run_items]
    await _require_same_fence(connection, current)
    values = {"state": ItemState.INTENDED, "intended_at": now}
    result = await connection.execute(_INTEND, {"of_run": current.id, "positions": positions, **values})
    if result.rowcount != len(run_items):
        raise StaleRun(f"run {current.id}: an item is no longer just planned")
    await audit.append(connection, now, "intended", run=current.id, detail={"items": positions})


async def settle(
    connection: AsyncConnection,
    current: Run,
    run_items: Sequence[RunItem],
    outcomes: Sequence[EffectOutcome],
    now: datetime,
) -> None:
    """Record the outcomes of intended items."""
    await _require_same_fence(connection, current)
    for each, outcome in zip(run_items, outcomes, strict=True):
        detail = cut_text(outcome.detail, MAX_DETAIL, "detail")
        values = {"state": outcome.state, "detail": detail, "settled_at": now}
        await connection.execute(_SETTLE, {"of_run": current.id, "at_position": each.position, **values})
    states = {str(each.position): str(outcome.state) for each, outcome in zip(run_items, outcomes, strict=True)}
    await audit.append(connection, now, "settled", run=current.id, detail={"items": states})


async def _require_same_fence(connection: AsyncConnection, current: Run) -> None:
    if (await runs.get(connection, current.id)).fence != current.fence:
        raise StaleRun(f"run {current.id} has been taken over")


class ItemCount(NamedTuple):
    """The number of a run's items, of those that were applied, and of those of which nothing is known."""

    applied: int
    unknown: int
    total: int


async def count_items(connection: AsyncConnection, identifiers: Sequence[int]) -> Mapping[int, ItemCount]:
    """Count the items of several runs, with one query."""
    applied, unknown = (
        func.sum(case((item.c.state == state, 1), else_=0)) for state in (ItemState.APPLIED, ItemState.UNKNOWN)
    )
    query = select(item.c.run, applied, unknown, func.count()).where(item.c.run.in_(identifiers)).group_by(item.c.run)
    counts = {run_id: ItemCount(*map(int, numbers)) for run_id, *numbers in await connection.execute(query)}
    return {identifier: counts.get(identifier, ItemCount(0, 0, 0)) for identifier in identifiers}
