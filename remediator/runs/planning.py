"""The first half of a run: reads what would be touched, asks every bound, and decides. Touches nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import MAX_DEFERRAL, Decision, decide
from remediator.bounds.facts import blockers, gather
from remediator.context import World
from remediator.escalation.escalate import escalate
from remediator.ledger import episodes, runs
from remediator.ledger.runs import Run
from remediator.ledger.touched_items import touched_since
from remediator.model.episode_key import Key
from remediator.model.errors import RemediatorError, TargetUnknown
from remediator.model.remediation import Identity, Plan
from remediator.model.run_state import RunState
from remediator.model.target import Found
from remediator.runs.transitions import advance
from runbookd.inventory import Mode, RemediationSettings

PLAN_SECONDS = 10.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class NoPlan:
    """Why there is no plan, in words, and how its run ends for that."""

    detail: str
    state: RunState = RunState.FAILED
    reason: str = "target_unreachable"


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
        read = await read_plan(world, found, run.id)
        if isinstance(read, NoPlan):
            return await _without_plan(world, run, read)
        plan = read
    return await _decide(world, run, found, plan)


async def _without_plan(world: World, run: Run, why: NoPlan) -> Run:
    """What is not there is refused, so that no name that an alert claims gets a breaker."""
    if why.state is RunState.REFUSED and run.state is RunState.PLANNED:
        return await _refuse(world, run, why.reason, why.detail)
    return await fail(world, run, why.reason, why.detail)


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


async def read_plan(world: World, found: Found, run: int | str) -> Plan | NoPlan:
    """The plan, or why there is none."""
    touched = await _touched(world, found)
    try:
        async with asyncio.timeout(PLAN_SECONDS), found.remediation.open(found.scope(run, touched)) as hands:
            plan = await hands.plan()
    except TargetUnknown as error:
        return NoPlan(str(error), RunState.REFUSED, "unknown_target")
    except RemediatorError as error:
        return NoPlan(str(error))
    except TimeoutError:
        return NoPlan(f"{found.target} did not answer within {PLAN_SECONDS:.0f} s")
    except Exception as error:
        log.exception("planning failed", run=run, target=str(found.target))
        return NoPlan(f"planning failed: {type(error).__name__}")
    # It may have counted before it listed: what would be touched is judged, not only what was counted.
    return replace(plan, found=max(plan.found, len(plan.items)), items=plan.items[: found.settings.batch])


async def _touched(world: World, found: Found) -> Sequence[Identity]:
    if not found.remediation.remembers:
        return ()
    key = Key(found.target.stack, found.remediation.name, str(found.target))
    async with world.ledger.read() as connection:
        return await touched_since(connection, key, world.clock.now() - found.remediation.remembers)


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
        return await _follow(connection, world, run, found, decision, plan)


def what_follows(
    settings: RemediationSettings, run: Run, decision: Decision, plan: Plan | None
) -> tuple[RunState, str]:
    """The state after `prechecked`, and its reason: the first of these that applies."""
    if run.found == 0:
        return RunState.NOTHING_TO_DO, plan.because if plan is not None else ""
    if settings.mode is Mode.SHADOW:
        return RunState.SHADOW, decision.reason
    if decision.refusals:
        return RunState.REFUSED, decision.reason
    if plan is not None and not plan.items:
        return RunState.NOTHING_TO_DO, "nothing_listed"
    if settings.mode is Mode.APPROVE and run.approved_by is None:
        return RunState.AWAITING_APPROVAL, ""
    if decision.deferrals:
        return RunState.DEFERRED, decision.reason
    return RunState.ADMITTED, ""


async def _follow(
    connection: AsyncConnection, world: World, run: Run, found: Found, decision: Decision, plan: Plan | None
) -> Run:
    now = world.clock.now()
    state, reason = what_follows(found.settings, run, decision, plan)
    if state is RunState.DEFERRED:
        return await _defer(connection, world, run, decision)
    if state is RunState.AWAITING_APPROVAL:
        return await advance(connection, world, run, state, expires_at=now + found.settings.approve_within)
    if state is RunState.ADMITTED:
        # Admitted anew after a crash, the reservation moves on: the effects come now, so they count from now.
        return await advance(connection, world, run, state, admitted_at=now)
    run = await advance(connection, world, run, state, reason=reason)
    if state is RunState.NOTHING_TO_DO and reason and found.settings.mode is not Mode.SHADOW:
        await escalate(connection, world, run, await episodes.get(connection, run.episode))
    return run


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
