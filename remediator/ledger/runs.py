"""Runs and their items. Every change of state goes through `move`, which checks the table and writes the audit row."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit, run_counts
from remediator.ledger.episodes import Episode
from remediator.ledger.run_row import Run as Run
from remediator.ledger.run_row import from_row as from_row
from remediator.ledger.schema import item, run
from remediator.model.errors import RemediatorError
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan
from remediator.model.run_state import ACTIVE, ENDED, TRANSITIONS, RunState, counts_toward_breaker


class StaleRun(RemediatorError):
    """Somebody else has moved this run on; whoever sees this stops touching it."""


@dataclass(frozen=True)
class RunItem:
    """One item of a run and what became of it."""

    position: int
    item: Item
    state: ItemState
    detail: str


class Reservation(NamedTuple):
    """An admission, which counts against the limits per hour whatever becomes of its run."""

    stack: str
    remediation: str
    admitted_at: datetime


async def create(connection: AsyncConnection, cause: Episode, now: datetime) -> Run:
    """Plan a new run of the episode `cause`."""
    result = await connection.execute(
        insert(run).values(
            episode=cause.id,
            stack=cause.stack,
            remediation=cause.remediation,
            target=cause.target,
            state=RunState.PLANNED,
            created_at=now,
        )
    )
    assert result.inserted_primary_key is not None  # noqa: S101 - an insert of one row always has one
    identifier = int(result.inserted_primary_key[0])
    await audit.append(connection, now, RunState.PLANNED, run=identifier, detail={"episode": cause.id})
    return await get(connection, identifier)


async def move(
    connection: AsyncConnection,
    current: Run,
    to: RunState,
    now: datetime,
    *,
    reason: str = "",
    actor: str = "remediator",
    **columns: Any,
) -> Run:
    """Move a run to its next state, in the same transaction as its audit row.

    Raises:
        StaleRun: the run is no longer as `current` has it.
    """
    if to not in TRANSITIONS[current.state]:
        raise AssertionError(f"run {current.id}: there is no way from {current.state} to {to}")
    if to in ENDED:
        columns["finished_at"] = now
    result = await connection.execute(
        update(run)
        .where(run.c.id == current.id, run.c.state == current.state, run.c.fence == current.fence)
        .values(state=to, reason=reason, **columns)
    )
    if result.rowcount != 1:
        raise StaleRun(f"run {current.id} is no longer {current.state}")
    await audit.append(connection, now, to, run=current.id, actor=actor, detail={"reason": reason} if reason else {})
    moved_run = await get(connection, current.id)
    if to in ENDED or to is RunState.DEFERRED:
        await run_counts.count(connection, moved_run, now)
    return moved_run


async def take_over(connection: AsyncConnection, current: Run) -> Run:
    """Raise the fence, so that nothing begun under the old one can still write.

    Raises:
        StaleRun: the run is no longer as `current` has it.
    """
    result = await connection.execute(
        update(run)
        .where(run.c.id == current.id, run.c.state == current.state, run.c.fence == current.fence)
        .values(fence=current.fence + 1)
    )
    if result.rowcount != 1:
        raise StaleRun(f"run {current.id} is no longer {current.state}, or has been taken over")
    return await get(connection, current.id)


async def get(connection: AsyncConnection, identifier: int) -> Run:
    return from_row((await connection.execute(select(run).where(run.c.id == identifier))).one())


async def get_or_none(connection: AsyncConnection, identifier: int) -> Run | None:
    row = (await connection.execute(select(run).where(run.c.id == identifier))).one_or_none()
    return None if row is None else from_row(row)


async def unfinished(connection: AsyncConnection) -> Sequence[Run]:
    """All runs that have not ended, oldest first."""
    rows = await connection.execute(select(run).where(run.c.state.in_(TRANSITIONS)).order_by(run.c.id))
    return [from_row(row) for row in rows]


async def last_of_episode(connection: AsyncConnection, identifier: int) -> Run | None:
    rows = await connection.execute(select(run).where(run.c.episode == identifier).order_by(run.c.id.desc()).limit(1))
    row = rows.one_or_none()
    return None if row is None else from_row(row)


async def of_episode(connection: AsyncConnection, episode: int) -> Sequence[Run]:
    """All runs of an episode, oldest first."""
    rows = await connection.execute(select(run).where(run.c.episode == episode).order_by(run.c.id))
    return [from_row(row) for row in rows]


async def last_admitted(connection: AsyncConnection, current: Run) -> Run | None:
    """The run of the same remediation and target, in any episode, that was admitted and ended last.

    An interrupted one begins no cooldown, so it must not hide one that does: the clock may have been set back.
    """
    rows = await connection.execute(
        select(run)
        .where(
            run.c.stack == current.stack,
            run.c.remediation == current.remediation,
            run.c.target == current.target,
            run.c.admitted_at.is_not(None),
            run.c.finished_at.is_not(None),
            run.c.state != RunState.INTERRUPTED,
            run.c.id != current.id,
        )
        .order_by(run.c.finished_at.desc())
        .limit(1)
    )
    row = rows.one_or_none()
    return None if row is None else from_row(row)


async def admitted_since(connection: AsyncConnection, since: datetime, excluded_run: int) -> Sequence[Reservation]:
    """Every reservation since then but that of the run `excluded_run`, oldest first."""
    rows = await connection.execute(
        select(run.c.stack, run.c.remediation, run.c.admitted_at)
        .where(run.c.admitted_at > since, run.c.id != excluded_run)
        .order_by(run.c.admitted_at)
    )
    return [Reservation(*row) for row in rows]


async def active(connection: AsyncConnection, excluded_run: int) -> Sequence[Run]:
    rows = await connection.execute(select(run).where(run.c.state.in_(ACTIVE), run.c.id != excluded_run))
    return [from_row(row) for row in rows]


async def breaker_failures_since(connection: AsyncConnection, current: Run, since: datetime) -> int:
    """How many runs of the same remediation and target failed or were interrupted by a crash since then."""
    rows = await connection.execute(
        select(run.c.state, run.c.reason).where(
            run.c.stack == current.stack,
            run.c.remediation == current.remediation,
            run.c.target == current.target,
            run.c.finished_at > since,
        )
    )
    return sum(counts_toward_breaker(RunState(row.state), row.reason) for row in rows)


async def save_plan(connection: AsyncConnection, current: Run, plan: Plan) -> Run:
    """Put the items of `plan` in the place of any that were planned before; nothing has been touched yet."""
    await connection.execute(item.delete().where(item.c.run == current.id))
    rows = [
        {
            "run": current.id,
            "position": position,
            "identity": dict(planned_item.identity),
            "evidence": dict(planned_item.evidence),
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
            evidence={**current.evidence, "plan": dict(plan.evidence)},
        )
    )
    return await get(connection, current.id)


def hash_items(items: Sequence[Item]) -> str:
    """A fingerprint of exactly these items."""
    return hashlib.sha256(json.dumps([dict(each.identity) for each in items], sort_keys=True).encode()).hexdigest()


async def add_evidence(connection: AsyncConnection, current: Run, **evidence: Any) -> Run:
    """Add to what is known of the run now, which may be more than `current` knows."""
    recorded_evidence = (await get(connection, current.id)).evidence
    await connection.execute(
        update(run).where(run.c.id == current.id).values(evidence={**recorded_evidence, **evidence})
    )
    return await get(connection, current.id)


async def items(connection: AsyncConnection, identifier: int) -> Sequence[RunItem]:
    return (await items_of(connection, [identifier]))[identifier]


async def items_of(connection: AsyncConnection, identifiers: Sequence[int]) -> Mapping[int, Sequence[RunItem]]:
    """The items of several runs, in one question."""
    items_by_run: dict[int, list[RunItem]] = {identifier: [] for identifier in identifiers}
    query = select(item).where(item.c.run.in_(identifiers)).order_by(item.c.run, item.c.position)
    for row in await connection.execute(query):
        run_item = RunItem(row.position, Item(row.identity, row.evidence), ItemState(row.state), row.detail)
        items_by_run[row.run].append(run_item)
    return items_by_run


async def intend(connection: AsyncConnection, current: Run, run_items: Sequence[RunItem], now: datetime) -> None:
    """Write down what is about to be touched. An item is intended once, ever.

    Raises:
        StaleRun: one of them is not merely planned any more, or the run has been taken over.
    """
    positions = [each.position for each in run_items]
    await _require_same_fence(connection, current)
    result = await connection.execute(
        update(item)
        .where(item.c.run == current.id, item.c.position.in_(positions), item.c.state == ItemState.PLANNED)
        .values(state=ItemState.INTENDED, intended_at=now)
    )
    if result.rowcount != len(run_items):
        raise StaleRun(f"run {current.id}: an item was not merely planned")
    await audit.append(connection, now, "intended", run=current.id, detail={"items": positions})


async def settle(
    connection: AsyncConnection,
    current: Run,
    run_items: Sequence[RunItem],
    outcomes: Sequence[EffectOutcome],
    now: datetime,
) -> None:
    """Write down what became of intended items."""
    await _require_same_fence(connection, current)
    for each, outcome in zip(run_items, outcomes, strict=True):
        await connection.execute(
            update(item)
            .where(item.c.run == current.id, item.c.position == each.position, item.c.state == ItemState.INTENDED)
            .values(state=outcome.state, detail=outcome.detail, settled_at=now)
        )
    states = {str(each.position): str(outcome.state) for each, outcome in zip(run_items, outcomes, strict=True)}
    await audit.append(connection, now, "settled", run=current.id, detail={"items": states})


async def _require_same_fence(connection: AsyncConnection, current: Run) -> None:
    if (await get(connection, current.id)).fence != current.fence:
        raise StaleRun(f"run {current.id} has been taken over")
