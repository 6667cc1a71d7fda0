"""Moves a run on, with everything that follows from its new state, in one transaction."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.escalation.escalate import escalate
from remediator.ledger import episodes, runs, switches
from remediator.ledger.runs import Run
from remediator.model.episode_key import EpisodeKey
from remediator.model.run_state import ESCALATED, OPENS_BREAKER, RunState, counts_toward_breaker
from runbookd.inventory import Breaker


async def transition(
    connection: AsyncConnection,
    context: Context,
    run: Run,
    to: RunState,
    *,
    reason: str = "",
    actor: str = "remediator",
    **columns: Any,
) -> Run:
    """Move `run` to its next state; open its breaker and tell people where that state asks for it.

    Raises:
        StaleRun: the run is no longer as given.
    """
    moved_run = await runs.move(connection, run, to, context.clock.now(), reason=reason, actor=actor, **columns)
    await _update_breaker(connection, context, moved_run)
    if to in ESCALATED:
        await escalate(connection, context, moved_run, await episodes.get(connection, moved_run.episode))
    return moved_run


async def _update_breaker(connection: AsyncConnection, context: Context, run: Run) -> None:
    now = context.clock.now()
    if run.state in OPENS_BREAKER:
        await switches.open_breaker(connection, run, f"run {run.id} ended {run.state}", now)
    elif counts_toward_breaker(run.state, run.reason):
        settings = _breaker_settings(context, run)
        closed_at = await switches.last_closed_at(connection, EpisodeKey(run.stack, run.remediation, run.target))
        window_start = now - settings.within
        # A closing that lies ahead was before the clock was set back: it must not excuse what happens until then.
        since = max(window_start, closed_at) if closed_at is not None and closed_at <= now else window_start
        failures = await runs.breaker_failures_since(connection, run, since)
        if failures >= settings.failures:
            await switches.open_breaker(connection, run, f"{failures} runs failed or were interrupted", now)


def _breaker_settings(context: Context, run: Run) -> Breaker:
    stack = context.inventory.stacks.get(run.stack)
    remediation = stack.remediations.get(run.remediation) if stack else None
    return remediation.breaker if remediation else Breaker()
