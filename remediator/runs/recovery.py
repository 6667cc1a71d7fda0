"""Ends runs that were interrupted within their effects or their proof. It looks up outcomes and applies nothing."""

from remediator.context import LeaderContext
from remediator.ledger import effects, runs
from remediator.ledger.runs import Run
from remediator.model.remediation import EffectOutcome, ItemState
from remediator.model.run_state import CRASH, RunState
from remediator.model.target import ResolvedTarget
from remediator.runs.execution import STOP_REASON_KEY
from remediator.runs.outcome import query_outcome
from remediator.runs.transitions import transition
from remediator.shutdown import ShutdownSignal


async def recover(context: LeaderContext, run: Run, target: ResolvedTarget, _shutdown: ShutdownSignal) -> Run:
    """End a run that crashed within its effects: look up the intended items, apply nothing."""
    async with context.ledger.write() as connection:
        run = await runs.take_over(connection, run)
        intended_items = [each for each in await effects.items(connection, run.id) if each.state is ItemState.INTENDED]
    if intended_items:
        outcomes = await query_outcome(target, run, [each.item for each in intended_items], "interrupted by a crash")
        async with context.ledger.write() as connection:
            await effects.settle(connection, run, intended_items, outcomes, context.clock.now())
    async with context.ledger.write() as connection:
        states = {each.state for each in await effects.items(connection, run.id)}
        to = RunState.UNKNOWN if ItemState.UNKNOWN in states else RunState.INTERRUPTED
        return await transition(connection, context, run, to, reason=str(run.evidence.get(STOP_REASON_KEY, CRASH)))


async def mark_unknown(context: LeaderContext, run: Run, detail: str) -> Run:
    """End a run whose outcome can no longer be read; its intended items are unknown."""
    async with context.ledger.write() as connection:
        run = await runs.take_over(connection, run)
        intended_items = [each for each in await effects.items(connection, run.id) if each.state is ItemState.INTENDED]
        if intended_items:
            outcomes = [EffectOutcome(ItemState.UNKNOWN, detail)] * len(intended_items)
            await effects.settle(connection, run, intended_items, outcomes, context.clock.now())
        return await transition(connection, context, run, RunState.UNKNOWN, reason="lost", evidence={"error": detail})
