"""The proof of a run: the reading that made its plan must come back clean."""

import asyncio
from collections.abc import Sequence

import structlog

from remediator.context import LeaderContext
from remediator.ledger import effects
from remediator.ledger.effects import RunItem
from remediator.ledger.runs import Run
from remediator.model.remediation import Item, ItemState, Verdict
from remediator.model.run_state import RunState
from remediator.model.target import ResolvedTarget
from remediator.runs.outcome import read_session
from remediator.runs.transitions import transition
from remediator.shutdown import ShutdownSignal

VERIFY_POLL_SECONDS = 1.0
# Planned items that were not applied; a proof reads only the applied ones, so it may be clean without these.
NOT_DONE = frozenset({ItemState.FAILED, ItemState.NOT_APPLIED, ItemState.PLANNED})
log = structlog.get_logger(__name__)


async def verify(context: LeaderContext, run: Run, target: ResolvedTarget, shutdown: ShutdownSignal) -> Run:
    """Repeat the reading that made the plan until it is clean or `verify_within` has passed."""
    async with context.ledger.read() as connection:
        items = await effects.items(connection, run.id)
    applied_items = [each.item for each in items if each.state is ItemState.APPLIED]
    verdict, loop = None, asyncio.get_running_loop()
    deadline = loop.time() + target.settings.verify_within.total_seconds()
    if not run.is_about_an_alert:
        await shutdown.sleep(target.settings.settle.total_seconds())
    while not shutdown.is_set():
        new_verdict = await _read_verdict(target, run, applied_items)
        verdict = new_verdict or verdict
        if (new_verdict is not None and new_verdict.clean) or loop.time() >= deadline:
            return await _apply_verdict(context, run, verdict)
        await shutdown.sleep(VERIFY_POLL_SECONDS)
    return run


async def _read_verdict(target: ResolvedTarget, run: Run, applied_items: Sequence[Item]) -> Verdict | None:
    try:
        async with read_session(target, run) as session:
            return await session.verify(applied_items)
    except Exception as error:
        log.warning("cannot read the result", run=run.id, error=f"{type(error).__name__}: {error}")
        return None


async def _apply_verdict(context: LeaderContext, run: Run, verdict: Verdict | None) -> Run:
    async with context.ledger.write() as connection:
        if verdict is None:
            return await transition(connection, context, run, RunState.UNKNOWN, reason="result_unreadable")
        state, reason = _judge(verdict, await effects.items(connection, run.id))
        proof = {"clean": verdict.clean, **verdict.evidence}
        return await transition(connection, context, run, state, reason=reason, evidence={"proof": proof})


def _judge(verdict: Verdict, items: Sequence[RunItem]) -> tuple[RunState, str]:
    """Return how a run with a readable proof ends, and why."""
    if not verdict.clean:
        return RunState.INEFFECTIVE, "still_there"
    if any(each.state in NOT_DONE for each in items):
        return RunState.INEFFECTIVE, "partly_applied"
    return RunState.SUCCEEDED, ""
