"""The first half of a run: reads its plan, evaluates every bound, and decides. It touches nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import MAX_DEFERRAL, Decision, decide
from remediator.bounds.facts import gather_facts, query_outside
from remediator.bounds.numbers import judged_evidence
from remediator.context import Context, LeaderContext
from remediator.escalation.policy import escalate
from remediator.ledger import effects, episodes, run_history, runs
from remediator.ledger.effects import hash_items
from remediator.ledger.runs import Run, StaleRun
from remediator.ledger.touched_items import touched_items_since
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import RemediatorError, RunRefused, TargetUnknown
from remediator.model.remediation import Identity, Plan
from remediator.model.run_state import SAME_ITEMS, UNKNOWN_TARGET, RunState
from remediator.model.target import ResolvedTarget, UnresolvedTarget, resolve_target
from remediator.runs.exceptions import needs_approval, only_reads
from remediator.runs.storms import end_unread_in_storm, end_without_reading, note_storm
from remediator.runs.transitions import transition
from runbookd.inventory import Mode, RemediationSettings, values_as_json

PLAN_SECONDS = 10.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PlanFailed:
    """The reason why there is no plan, and how the run ends because of it."""

    detail: str
    state: RunState = RunState.FAILED
    reason: str = "target_unreachable"


async def precheck(context: LeaderContext, run: Run, target: ResolvedTarget) -> Run:
    """Plan `run`, evaluate all bounds and move it on; a run whose items an operator has seen keeps its plan.

    Raises:
        LedgerUnavailable: nothing was decided.
        StaleRun: the run has changed since it was read.
    """
    if target.settings.mode is Mode.OFF and run.state is RunState.PLANNED:  # turned off: the target is not read
        return await refuse(context, run, "mode_off", "the mode is off")
    if run.keeps_its_plan:
        return await _decide(context, run, target, None)
    if (ended_run := await end_without_reading(context, run, target)) is not None:
        return ended_run
    match await read_plan(context, target, run.id):
        case PlanFailed() as failure:
            ended_run = await end_unread_in_storm(context, run, target, failure.detail)
            return ended_run or await _end_without_plan(context, run, failure)
        case plan:
            return await _decide(context, run, target, plan)


async def _end_without_plan(context: LeaderContext, run: Run, failure: PlanFailed) -> Run:
    """Refuse a run with an unknown target, so that it opens no breaker; fail any other."""
    if failure.state is RunState.REFUSED and run.state is RunState.PLANNED:
        return await refuse(context, run, failure.reason, failure.detail)
    return await fail(context, run, failure.reason, failure.detail)


async def refuse(context: LeaderContext, run: Run, reason: str, detail: str) -> Run:
    """Refuse a run whose target was not read."""
    async with context.ledger.write() as connection:
        evidence = {"bounds": {"refused_by": {reason: detail}, "deferred_by": {}}}
        return await transition(connection, context, run, RunState.REFUSED, reason=reason, evidence=evidence)


async def fail(context: LeaderContext, run: Run, reason: str, detail: str) -> Run:
    """Fail a run that has touched nothing."""
    async with context.ledger.write() as connection:
        return await transition(connection, context, run, RunState.FAILED, reason=reason, evidence={"error": detail})


async def read_plan(context: Context, target: ResolvedTarget, run: int | str) -> Plan | PlanFailed:
    """Return the plan, or why there is none."""
    touched_items = await _read_touched_items(context, target)
    try:
        async with asyncio.timeout(PLAN_SECONDS), target.remediation.open(target.scope(run, touched_items)) as session:
            plan = await session.plan()
    except TargetUnknown as error:
        return PlanFailed(str(error), RunState.REFUSED, UNKNOWN_TARGET)
    except RunRefused as error:
        return PlanFailed(str(error), RunState.REFUSED, error.reason)
    except RemediatorError as error:
        return PlanFailed(str(error))
    except TimeoutError:
        return PlanFailed(f"{target.name} did not answer within {PLAN_SECONDS:.0f} s")
    except Exception as error:
        log.exception("planning failed", run=run, target=str(target.name))
        return PlanFailed(f"planning failed: {type(error).__name__}")
    # The list may be longer than the count made before it; the bounds must judge the larger number.
    return replace(plan, found=max(plan.found, len(plan.items)), items=plan.items[: target.settings.batch])


async def _read_touched_items(context: Context, target: ResolvedTarget) -> Sequence[Identity]:
    if not target.remediation.lookback:
        return ()
    key = EpisodeKey(target.name.stack, target.remediation.name, str(target.name))
    async with context.ledger.read() as connection:
        return await touched_items_since(connection, key, context.clock.now() - target.remediation.lookback)


def cooldown_of(context: Context, key: EpisodeKey) -> timedelta:
    """Return how long an episode waits after a run: `max_alert_age` for an unknown target."""
    match resolve_target(context.inventory, context.remediations, key):
        case ResolvedTarget(settings=settings):
            return settings.cooldown
        case UnresolvedTarget():
            return context.inventory.limits.max_alert_age


async def _decide(context: LeaderContext, run: Run, target: ResolvedTarget, plan: Plan | None) -> Run:
    outside = await query_outside(context, target, run.id)
    async with context.ledger.write() as connection:
        if target.inventory is not context.inventory:
            raise StaleRun(f"the inventory was reloaded while run {run.id} was planned")
        if run.state is RunState.ADMITTED:  # crashed between admission and its first effect
            run = await runs.take_over(connection, run)
        settings = values_as_json(target.settings)
        run = await runs.move(connection, run, RunState.PRECHECKED, context.clock.now(), settings=settings)
        if plan is not None:
            run = await effects.save_plan(connection, run, plan)
        episode = await episodes.get(connection, run.episode)
        facts = await gather_facts(connection, context, target, run, episode, outside)
        decision = decide(facts, reads_only=only_reads(target, run))
        await note_storm(connection, context, facts.storm)  # for its cooldown, even if another bound stops the run
        evidence = {"bounds": decision.as_evidence(), "judged": judged_evidence(decision, facts)}
        return await _apply_decision(connection, context, run, target, decision, evidence, plan)


def next_state(
    target: ResolvedTarget, run: Run, decision: Decision, plan: Plan | None, rejected_hash: str | None
) -> tuple[RunState, str]:
    """Return the state after `prechecked` and its reason: the first that applies.

    `rejected_hash` is that of the items that an operator has rejected in this episode: they are not asked about again.
    """
    settings = target.settings
    if run.found == 0:
        return RunState.NOTHING_TO_DO, plan.empty_reason if plan is not None else ""
    if settings.mode is Mode.SHADOW:
        return RunState.SHADOW, decision.reason
    if decision.refusals:
        return RunState.REFUSED, decision.reason
    if plan is not None and not plan.items:
        return RunState.NOTHING_TO_DO, "nothing_listed"
    if needs_approval(target, run):
        is_same = plan is not None and hash_items(plan.items) == rejected_hash
        return (RunState.REJECTED, SAME_ITEMS) if is_same else (RunState.AWAITING_APPROVAL, "")
    if decision.deferrals:
        return RunState.DEFERRED, decision.reason
    return RunState.ADMITTED, ""


async def _apply_decision(
    connection: AsyncConnection,
    context: Context,
    run: Run,
    target: ResolvedTarget,
    decision: Decision,
    evidence: Mapping[str, Any],
    plan: Plan | None,
) -> Run:
    settings = target.settings
    rejected_hash = await run_history.rejected_hash(connection, run.episode)
    state, reason = next_state(target, run, decision, plan, rejected_hash)
    columns = _columns_of(state, run, settings, decision, context.clock.now())
    run = await transition(connection, context, run, state, reason=reason, evidence=evidence, **columns)
    if state is RunState.NOTHING_TO_DO and reason and settings.mode is not Mode.SHADOW:
        await escalate(connection, context, run)
    return run


def _columns_of(
    state: RunState, run: Run, settings: RemediationSettings, decision: Decision, now: datetime
) -> Mapping[str, Any]:
    """Return the times of a state; a run admitted again counts from now, as its effects do."""
    if state is RunState.ADMITTED:
        return {"admitted_at": now}
    if state is RunState.AWAITING_APPROVAL:
        return {"expires_at": now + settings.approve_within, "approved_by": None}
    if state is RunState.DEFERRED:
        since = run.deferred_at or now
        not_before = min(decision.not_before(now), since + MAX_DEFERRAL)
        return {"deferred_at": since, "not_before": not_before, "expires_at": since + MAX_DEFERRAL}
    return {}
