"""The second half of a run: applies its effects, each only after its intent is durable."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import judge_age, judge_storm
from remediator.bounds.facts import OutsideFacts, query_outside, read_storm
from remediator.bounds.kill_switch import pause_reason
from remediator.bounds.surroundings import add_ledger_facts
from remediator.context import Context, LeaderContext
from remediator.ledger import effects, episodes, runs
from remediator.ledger.effects import RunItem
from remediator.ledger.runs import Run, StaleRun
from remediator.model.errors import LedgerUnavailable
from remediator.model.remediation import EffectOutcome, Item, ItemState, RemediationSession
from remediator.model.run_state import RunState
from remediator.model.target import ResolvedTarget
from remediator.model.windows import active_freeze, in_window
from remediator.runs.exceptions import only_reads
from remediator.runs.outcome import CONNECT_SECONDS, query_outcome
from remediator.runs.transitions import transition
from remediator.shutdown import SHUTDOWN, ShutdownSignal

STOP_REASON_KEY = "stopped"  # the evidence key of why no further effect begins
log = structlog.get_logger(__name__)


async def execute(context: LeaderContext, run: Run, target: ResolvedTarget, shutdown: ShutdownSignal) -> Run:
    """Apply the effects of an admitted run, one after the other, and record their outcomes."""
    async with context.ledger.read() as connection:
        items = await effects.items(connection, run.id)
    groups = [list(items)] if target.remediation.one_effect else [[each] for each in items]
    executed_run = None
    try:
        async with (
            asyncio.timeout(CONNECT_SECONDS) as connect_limit,
            target.remediation.open(target.scope(run.id)) as session,
        ):
            connect_limit.reschedule(None)  # from here on, every effect has its own timeout
            executed_run = await _apply_effects(context, run, target, session, groups, shutdown)
    except (StaleRun, LedgerUnavailable):
        raise
    except Exception as error:
        if executed_run is None:
            return await _fail_before_effects(context, run, error)
        log.warning("the session was not closed cleanly", run=run.id, error=str(error))
    return await _conclude(context, executed_run)


async def _fail_before_effects(context: LeaderContext, run: Run, error: Exception) -> Run:
    """Fail the run if no effect has begun; otherwise `recover` looks up the outcomes."""
    async with context.ledger.write() as connection:
        current_run = await runs.get(connection, run.id)
        if current_run.state is not RunState.ADMITTED:
            raise error
        evidence = {"error": str(error) or "no answer in time"}
        return await transition(
            connection, context, current_run, RunState.FAILED, reason="target_unreachable", evidence=evidence
        )


async def _apply_effects(
    context: LeaderContext,
    run: Run,
    target: ResolvedTarget,
    session: RemediationSession,
    groups: Sequence[Sequence[RunItem]],
    shutdown: ShutdownSignal,
) -> Run:
    for group in groups:
        outside = await query_outside(context, target, run.id)
        async with context.ledger.write() as connection:
            reason = await _reason_to_stop(connection, context, run, target, shutdown)
            reason = reason or await _blocked(connection, context, run, target, outside)
            if reason is not None:
                return await _end_effects(connection, context, run, reason)
            if run.state is RunState.ADMITTED:
                run = await transition(connection, context, run, RunState.EXECUTING)
            await effects.intend(connection, run, group, context.clock.now())
            permit = await context.ledger.permit_effect(connection, run.id, session.effect_timeout)
        permit.require()
        outcomes = await _apply(session, target, run, [each.item for each in group])
        async with context.ledger.write() as connection:
            await effects.settle(connection, run, group, outcomes, context.clock.now())
        outcome_counts = Counter(str(outcome.state) for outcome in outcomes)
        log.info("effect", run=run.id, remediation=run.remediation, target=run.target, **outcome_counts)
        if any(outcome.state in (ItemState.FAILED, ItemState.UNKNOWN) for outcome in outcomes):
            break  # the rest would likely fail as well; it stays untouched
    return run


async def _reason_to_stop(
    connection: AsyncConnection, context: Context, run: Run, target: ResolvedTarget, shutdown: ShutdownSignal
) -> str | None:
    """Return why no further effect may begin; runs in the transaction of each intent."""
    now = context.clock.now()
    if shutdown.is_set():
        return SHUTDOWN
    if only_reads(target, run):
        return (await episodes.get(connection, run.episode)).end_reason if run.answers_an_alert else None
    if await pause_reason(connection, context, run.stack) is not None:
        return "kill_switch"
    # Unlike the settings of the run, a freeze applies as soon as it is loaded: it can only stop a run.
    freezes = context.inventory.stacks.get(run.stack, target.stack).freezes
    may_freeze = not (target.remediation.only_adds and run.trigger == "operator")
    if may_freeze and active_freeze(freezes.items(), now) is not None:
        return "freeze"
    if target.settings.only_in is not None and not in_window(target.stack.windows[target.settings.only_in], now):
        return "window"
    return await _alert_reason_to_stop(connection, context, run, target) if run.answers_an_alert else None


async def _alert_reason_to_stop(
    connection: AsyncConnection, context: Context, run: Run, target: ResolvedTarget
) -> str | None:
    """Return why the alerts allow no further effect: a storm, their end, or no confirmation."""
    now = context.clock.now()
    if judge_storm(now, await read_storm(connection, context, now), context.inventory.limits.storm).stops:
        return "storm"
    episode = await episodes.get(connection, run.episode)
    age = judge_age(now, episode.confirmed_at, target.max_alert_age)
    return episode.end_reason or ("stale" if age.stops else None)


async def _blocked(
    connection: AsyncConnection, context: Context, run: Run, target: ResolvedTarget, outside: OutsideFacts
) -> str | None:
    if outside.block_on.firing:
        return "blocked_by_alert"
    if outside.block_on.error is not None:
        return "alertmanager_unreadable"
    return (await add_ledger_facts(connection, target, run, outside.surroundings, context.clock.now())).reason


async def _end_effects(connection: AsyncConnection, context: Context, run: Run, reason: str) -> Run:
    log.info("no further effect", run=run.id, reason=reason)
    if run.state is RunState.ADMITTED and reason == SHUTDOWN:
        return run  # it continues after the restart, where a recorded shutdown would hide a crash
    if run.state is RunState.ADMITTED:
        return await transition(connection, context, run, RunState.CANCELLED, reason=reason)
    return await runs.add_evidence(connection, run, **{STOP_REASON_KEY: reason})


async def _apply(
    session: RemediationSession, target: ResolvedTarget, run: Run, items: Sequence[Item]
) -> Sequence[EffectOutcome]:
    """Apply one effect; after an error, look up its outcome instead of guessing it."""
    try:
        async with asyncio.timeout(session.effect_timeout.total_seconds()):
            return await session.apply(items)
    except Exception as error:
        log.warning("effect failed, looking up its outcome", run=run.id, error=f"{type(error).__name__}: {error}")
        return await query_outcome(target, run, items, f"{type(error).__name__}: {error}")


async def _conclude(context: LeaderContext, run: Run) -> Run:
    """End or verify a run by its outcomes; a run cancelled before its first effect has ended."""
    if run.state is not RunState.EXECUTING:
        return run
    async with context.ledger.write() as connection:
        states = {each.state for each in await effects.items(connection, run.id)}
        stop_reason = str(run.evidence.get(STOP_REASON_KEY, ""))
        if ItemState.UNKNOWN in states:
            return await transition(connection, context, run, RunState.UNKNOWN, reason="outcome_unknown")
        if stop_reason and ItemState.PLANNED in states:
            return await transition(connection, context, run, RunState.INTERRUPTED, reason=stop_reason)
        if ItemState.APPLIED in states:
            return await transition(connection, context, run, RunState.VERIFYING)
        if states & {ItemState.FAILED, ItemState.NOT_APPLIED}:
            return await transition(connection, context, run, RunState.FAILED, reason="effect_failed")
        return await transition(connection, context, run, RunState.NOTHING_TO_DO, reason="changed_since_planned")


async def record_shutdown(context: LeaderContext, identifier: int) -> None:
    """Record the shutdown in a run that is executing.

    Its effect may outlast this process; the next process must not take that for a crash.
    """
    async with context.ledger.write() as connection:
        run = await runs.get(connection, identifier)
        if run.state is RunState.EXECUTING:
            await runs.add_evidence(connection, run, **{STOP_REASON_KEY: SHUTDOWN})
