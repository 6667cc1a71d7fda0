"""Runs in a storm: the servers are not read for them, because a storm refuses them whatever their plan."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import decide, exceeds_storm_limit, judge_storm
from remediator.bounds.facts import OutsideFacts, StormFacts, gather_facts, is_storm_fresh, read_storm
from remediator.context import Context, LeaderContext
from remediator.ledger import episodes, runs, switches
from remediator.ledger.runs import Run
from remediator.model.run_state import RunState
from remediator.model.target import ResolvedTarget
from remediator.runs.transitions import transition
from runbookd.inventory import Mode


async def note_storm(connection: AsyncConnection, context: Context, seen: StormFacts) -> None:
    """Record a storm for its cooldown, if there is one now."""
    limit, now = context.inventory.limits.storm, context.clock.now()
    if exceeds_storm_limit(seen, limit):
        await switches.note_storm(connection, now, judge_storm(now, seen, limit).detail, 2 * limit.cooldown)


async def end_without_reading(context: LeaderContext, run: Run, target: ResolvedTarget) -> Run | None:
    """End a new run if a storm was just seen; otherwise return None, so that its plan is read."""
    if run.state is not RunState.PLANNED or run.is_about_an_alert or not run.answers_an_alert:
        return None
    async with context.ledger.read() as connection:
        if not await is_storm_fresh(connection, context.clock.now()):
            return None
    async with context.ledger.write() as connection:
        return await _end_in_storm(connection, context, run, target)


async def end_unread_in_storm(context: LeaderContext, run: Run, target: ResolvedTarget, error: str) -> Run | None:
    """End a new run whose plan could not be read, if there is a storm; otherwise return None.

    A storm is often the reason why: hundreds of failures of one server would be hundreds of messages.
    """
    if run.state is not RunState.PLANNED or run.is_about_an_alert or not run.answers_an_alert:
        return None
    async with context.ledger.write() as connection:
        await note_storm(connection, context, await read_storm(connection, context, context.clock.now()))
        return await _end_in_storm(connection, context, run, target, error)


async def _end_in_storm(
    connection: AsyncConnection,
    context: Context,
    run: Run,
    target: ResolvedTarget,
    error: str = "",
) -> Run | None:
    unread_run = replace(run, found=0, population=0)
    episode = await episodes.get(connection, run.episode)
    facts = await gather_facts(connection, context, target, unread_run, episode, OutsideFacts(), counts_alerts=False)
    decision = decide(facts)
    if "storm" not in decision.refusals:
        return None
    run = await runs.move(connection, run, RunState.PRECHECKED, context.clock.now())
    state = RunState.SHADOW if target.settings.mode is Mode.SHADOW else RunState.REFUSED
    evidence = {"bounds": decision.as_evidence(), **({"error": error} if error else {})}
    return await transition(connection, context, run, state, reason=decision.reason, evidence=evidence)
