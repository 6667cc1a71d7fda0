"""The items of a run: planned, then intended, then settled with an outcome."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit, runs
from remediator.ledger.runs import Run, StaleRun
from remediator.ledger.schema import item, run
from remediator.model.cuts import MAX_DETAIL, cut_text, cut_values
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan


@dataclass(frozen=True)
class RunItem:
    """One item of a run, with its state."""

    position: int
    item: Item
    state: ItemState
    detail: str


async def save_plan(connection: AsyncConnection, current: Run, plan: Plan) -> Run:
    """Replace the planned items of a run that has touched nothing yet."""
    await connection.execute(item.delete().where(item.c.run == current.id))
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
        await connection.execute(insert(item), rows)
    await connection.execute(
        update(run)
        .where(run.c.id == current.id)
        .values(
            found=plan.found,
            population=plan.population,
            plan_hash=hash_items(plan.items),
            evidence={**current.evidence, "plan": cut_values(plan.evidence)},
        )
    )
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
    query = select(item).where(item.c.run.in_(identifiers)).order_by(item.c.run, item.c.position)
    for row in await connection.execute(query):
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
    result = await connection.execute(
        update(item)
        .where(item.c.run == current.id, item.c.position.in_(positions), item.c.state == ItemState.PLANNED)
        .values(state=ItemState.INTENDED, intended_at=now)
    )
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
        await connection.execute(
            update(item)
            .where(item.c.run == current.id, item.c.position == each.position, item.c.state == ItemState.INTENDED)
            .values(state=outcome.state, detail=cut_text(outcome.detail, MAX_DETAIL, "detail"), settled_at=now)
        )
    states = {str(each.position): str(outcome.state) for each, outcome in zip(run_items, outcomes, strict=True)}
    await audit.append(connection, now, "settled", run=current.id, detail={"items": states})


async def _require_same_fence(connection: AsyncConnection, current: Run) -> None:
    if (await runs.get(connection, current.id)).fence != current.fence:
        raise StaleRun(f"run {current.id} has been taken over")


class ItemCount(NamedTuple):
    """The number of a run's items, and of those that were applied."""

    applied: int
    total: int


async def count_items(connection: AsyncConnection, identifiers: Sequence[int]) -> Mapping[int, ItemCount]:
    """Count the items of several runs, with one query."""
    is_applied = func.sum(case((item.c.state == ItemState.APPLIED, 1), else_=0))
    query = select(item.c.run, is_applied, func.count()).where(item.c.run.in_(identifiers)).group_by(item.c.run)
    counts = {run_id: ItemCount(int(applied), total) for run_id, applied, total in await connection.execute(query)}
    return {identifier: counts.get(identifier, ItemCount(0, 0)) for identifier in identifiers}
