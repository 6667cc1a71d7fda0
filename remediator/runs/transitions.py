"""Moves a run to its next state, with the consequences of that state, in one transaction."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.escalation.policy import escalate
from remediator.ledger import run_history, runs, switches
from remediator.ledger.runs import Run
from remediator.model.clock import is_recent
from remediator.model.episode_key import EpisodeKey
from remediator.model.run_state import ENDED, UNKNOWN_TARGET, RunState, counts_toward_breaker
from remediator.model.target import counted_key
from remediator.runs.undos import follow_end
from runbookd.inventory import Breaker


async def transition(
    connection: AsyncConnection,
    context: Context,
    run: Run,
    to: RunState,
    *,
    reason: str = "",
    actor: str = "remediator",
    evidence: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Run:
    """Move `run` to a state, with the consequences of that state, and add to its evidence.

    Raises:
        StaleRun: the run has changed since it was read.
    """
    moved_run = await runs.move(
        connection,
        run,
        to,
        context.clock.now(),
        reason=reason,
        actor=actor,
        evidence=evidence,
        counted_as=_counted_as(context, run, reason),
        **columns,
    )
    for consequence in CONSEQUENCES.get(to, ()):
        await consequence(connection, context, moved_run)
    if to in ENDED:
        await follow_end(connection, context, moved_run)
    return moved_run


def _counted_as(context: Context, run: Run, reason: str) -> EpisodeKey:
    return counted_key(context.inventory, context.remediations, run.key) if reason == UNKNOWN_TARGET else run.key


async def open_breaker(connection: AsyncConnection, context: Context, run: Run) -> None:
    """Open the breaker: the fix failed or is unknown, so an operator must check the target."""
    await switches.open_breaker(connection, run, f"run {run.id} ended {run.state}", context.clock.now())


async def count_toward_breaker(connection: AsyncConnection, context: Context, run: Run) -> None:
    """Open the breaker if failures that may be temporary repeat."""
    if not counts_toward_breaker(run.state, run.reason):
        return
    now, settings = context.clock.now(), _breaker_settings(context, run)
    closed_at = await switches.last_closed_at(connection, run.key)
    since = now - settings.within
    # A closing in the future happened before the clock was set back: it must not hide the failures until then.
    if closed_at is not None and is_recent(closed_at, settings.within, now):
        since = closed_at
    failures = await run_history.breaker_failures_since(connection, run, since)
    if failures >= settings.failures:
        await switches.open_breaker(connection, run, f"{failures} runs failed or were interrupted", now)


def _breaker_settings(context: Context, run: Run) -> Breaker:
    stack = context.inventory.stacks.get(run.stack)
    remediation = stack.remediations.get(run.remediation) if stack else None
    return remediation.breaker if remediation else Breaker()


async def notify_reading(connection: AsyncConnection, context: Context, run: Run) -> None:
    """Notify the contacts at once of an alert that no remediation repairs; the reading follows with the message."""
    if run.is_about_an_alert:
        await escalate(connection, context, run)


async def notify_unended(connection: AsyncConnection, context: Context, run: Run) -> None:
    """Notify the contacts that effects which were to end stay, because the mode is shadow now."""
    if run.trigger == "end":
        await escalate(connection, context, run)


S = RunState
Consequence = Callable[[AsyncConnection, Context, Run], Awaitable[None]]
# The consequences of a state, in the transaction that moves a run there; the other states have none.
CONSEQUENCES: dict[RunState, tuple[Consequence, ...]] = {
    S.AWAITING_APPROVAL: (escalate,),
    S.ADMITTED: (notify_reading,),
    S.SHADOW: (notify_unended,),
    S.REFUSED: (escalate,),
    S.EXPIRED: (escalate,),
    S.FAILED: (count_toward_breaker, escalate),
    S.INTERRUPTED: (count_toward_breaker,),
    S.INEFFECTIVE: (open_breaker, escalate),
    S.UNKNOWN: (open_breaker, escalate),
}
