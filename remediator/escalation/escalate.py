"""Hands a problem to people, with everything that was tried."""

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import World
from remediator.escalation.message import run_message
from remediator.escalation.policy import circle
from remediator.ledger import outbox
from remediator.ledger.episodes import Episode
from remediator.ledger.runs import Run
from remediator.model.run_state import RunState

# What a person has switched off, or what passes by itself, needs no message.
QUIET_REASONS = frozenset({"mode_off", "backup_running", "nothing_listed"})

# The others repeat while nothing changes; one message an episode says it.
EACH_TIME = frozenset({RunState.AWAITING_APPROVAL, RunState.INEFFECTIVE, RunState.UNKNOWN})


async def escalate(connection: AsyncConnection, world: World, run: Run, episode: Episode) -> None:
    """Queue a message about `run` in the transaction that moved it; what repeats, once an episode."""
    if run.reason in QUIET_REASONS:
        return
    key = f"{episode.id}/{run.state}/{run.reason}" + (f"/{run.id}" if run.state in EACH_TIME else "")
    told = await outbox.told(connection, episode.id)
    if told is not None and key in told.keys:
        return
    contacts, message = circle(world.inventory, run.stack, told), await run_message(connection, world, run, episode)
    await outbox.put(connection, episode.id, key, contacts, *message, world.clock.now())
