"""Moves a run on, with everything that follows from its new state, in one transaction."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import World
from remediator.escalation.escalate import escalate
from remediator.ledger import episodes, runs, switches
from remediator.ledger.runs import Run
from remediator.model.episode_key import Key
from remediator.model.run_state import ESCALATED, OPENS_BREAKER, RunState, is_mishap
from runbookd.inventory import Breaker


async def advance(
    connection: AsyncConnection,
    world: World,
    run: Run,
    to: RunState,
    *,
    reason: str = "",
    actor: str = "remediator",
    **columns: Any,
) -> Run:
    """Move `run` to its next state; open its breaker and tell people where that state asks for it.

    Raises:
        LostRun: the run is no longer as given.
    """
    moved = await runs.move(connection, run, to, world.clock.now(), reason=reason, actor=actor, **columns)
    await _watch_breaker(connection, world, moved)
    if to in ESCALATED:
        await escalate(connection, world, moved, await episodes.get(connection, moved.episode))
    return moved


async def _watch_breaker(connection: AsyncConnection, world: World, run: Run) -> None:
    now = world.clock.now()
    if run.state in OPENS_BREAKER:
        await switches.open_breaker(connection, run, f"run {run.id} ended {run.state}", now)
    elif is_mishap(run.state, run.reason):
        settings = _breaker_settings(world, run)
        closed = await switches.last_closed(connection, Key(run.stack, run.remediation, run.target))
        begun = now - settings.within
        # A closing that lies ahead was before the clock was set back: it must not excuse what happens until then.
        since = max(begun, closed) if closed is not None and closed <= now else begun
        bad = await runs.mishaps_since(connection, run, since)
        if bad >= settings.failures:
            await switches.open_breaker(connection, run, f"{bad} runs failed or were interrupted", now)


def _breaker_settings(world: World, run: Run) -> Breaker:
    stack = world.inventory.stacks.get(run.stack)
    remediation = stack.remediations.get(run.remediation) if stack else None
    return remediation.breaker if remediation else Breaker()
