"""The first half of a run: reads what would be touched, asks every bound, and decides. Touches nothing."""

import asyncio
from dataclasses import replace

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory import Mode
from remediator.bounds import MAX_DEFERRAL, Decision, decide
from remediator.errors import RemediatorError
from remediator.facts import blockers, gather
from remediator.ledger import episodes, runs
from remediator.ledger.runs import Run
from remediator.progress import advance
from remediator.remediations.base import Plan
from remediator.states import RunState
from remediator.targets import Found
from remediator.world import World

PLAN_SECONDS = 10.0
log = structlog.get_logger(__name__)


async def precheck(world: World, run: Run, found: Found | str) -> Run:
    """Plan `run`, ask all bounds, and move it to what follows; an approved run keeps the plan that was approved.

    Raises:
        LedgerUnavailable: nothing has been decided.
        LostRun: somebody else has moved the run on.
    """
    early = await _without_reading(world, run, found)
    if early is not None or isinstance(found, str):
        return early or run
    plan = None
    if run.approved_by is None:
        read = await _read_plan(found, run)
        if isinstance(read, str):
            return await fail(world, run, "target_unreachable", read)
        plan = read
    return await _decide(world, run, found, plan)


async def _without_reading(world: World, run: Run, found: Found | str) -> Run | None:
    """What needs no look at the target: it does not exist, or nobody wants this remediation."""
    if isinstance(found, str):
        if run.state is not RunState.PLANNED:
            return await fail(world, run, "unknown_target", found)
        return await _refuse(world, run, "unknown_target", found)
    if found.settings.mode is Mode.OFF and run.state is RunState.PLANNED:
        return await _refuse(world, run, "mode_off", "the mode is off")
    return None


async def _refuse(world: World, run: Run, reason: str, detail: str) -> Run:
    async with world.ledger.write() as connection:
        noted = await runs.add_evidence(connection, run, bounds={"refused_by": {reason: detail}, "deferred_by": {}})
        return await advance(connection, world, noted, RunState.REFUSED, reason=reason)


async def fail(world: World, run: Run, reason: str, detail: str) -> Run:
    """End a run that has touched nothing."""
    async with world.ledger.write() as connection:
        noted = await runs.add_evidence(connection, run, error=detail)
        return await advance(connection, world, noted, RunState.FAILED, reason=reason)


async def _read_plan(found: Found, run: Run) -> Plan | str:
    """The plan, or in words why there is none."""
    try:
        async with asyncio.timeout(PLAN_SECONDS), found.remediation.open(found.scope(run.id)) as hands:
            plan = await hands.plan()
    except RemediatorError as error:
        return str(error)
    except TimeoutError:
        return f"{run.target} did not answer within {PLAN_SECONDS:.0f} s"
    except Exception as error:
        log.exception("planning failed", run=run.id, target=run.target)
        return f"planning failed: {type(error).__name__}"
    batch = found.settings.batch
    return plan if batch is None else replace(plan, items=plan.items[:batch])


async def _decide(world: World, run: Run, found: Found, plan: Plan | None) -> Run:
    blocked = await blockers(world, found)
    async with world.ledger.write() as connection:
        if run.state is RunState.ADMITTED:  # a crash came between admission and the first effect
            run = await runs.take_over(connection, run)
        run = await runs.move(connection, run, RunState.PRECHECKED, world.clock.now())
        if plan is not None:
            run = await runs.keep_plan(connection, run, plan)
        episode = await episodes.get(connection, run.episode)
        decision = decide(await gather(connection, world, found, run, episode, blocked))
        run = await runs.add_evidence(connection, run, bounds=decision.as_evidence())
        return await _follow(connection, world, run, found, decision)


async def _follow(connection: AsyncConnection, world: World, run: Run, found: Found, decision: Decision) -> Run:
    """The state after `prechecked`: the first of these that applies."""
    now = world.clock.now()
    if run.found == 0:
        return await advance(connection, world, run, RunState.NOTHING_TO_DO)
    if found.settings.mode is Mode.SHADOW:
        return await advance(connection, world, run, RunState.SHADOW, reason=decision.reason)
    if decision.refusals:
        return await advance(connection, world, run, RunState.REFUSED, reason=decision.reason)
    if found.settings.mode is Mode.APPROVE and run.approved_by is None:
        expiry = now + found.settings.approve_within
        return await advance(connection, world, run, RunState.AWAITING_APPROVAL, expires_at=expiry)
    if decision.deferrals:
        return await _defer(connection, world, run, decision)
    if not await runs.items(connection, run.id):
        return await advance(connection, world, run, RunState.NOTHING_TO_DO, reason="nothing_listed")
    # Admitted anew after a crash, the reservation moves on: the effects come now, so they count from now.
    return await advance(connection, world, run, RunState.ADMITTED, admitted_at=now)


async def _defer(connection: AsyncConnection, world: World, run: Run, decision: Decision) -> Run:
    now = world.clock.now()
    since = run.deferred_at or now
    until = min(decision.not_before(now), since + MAX_DEFERRAL)
    return await advance(
        connection,
        world,
        run,
        RunState.DEFERRED,
        reason=decision.reason,
        deferred_at=since,
        not_before=until,
        expires_at=since + MAX_DEFERRAL,
    )
