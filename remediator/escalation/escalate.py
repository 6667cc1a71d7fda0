"""Hands a problem to people, with everything that was tried."""

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.escalation.message import run_message
from remediator.escalation.policy import contacts_for
from remediator.ledger import episodes, outbox
from remediator.ledger.runs import Run
from remediator.model.run_state import RunState

# What a person has switched off, or what passes by itself, needs no message.
NOT_ESCALATED = frozenset({"mode_off", "backup_running", "nothing_listed"})

# The others repeat while nothing changes; one message an episode says it.
ESCALATED_EVERY_TIME = frozenset({RunState.AWAITING_APPROVAL, RunState.INEFFECTIVE, RunState.UNKNOWN})


async def escalate(connection: AsyncConnection, context: Context, run: Run) -> None:
    """Queue a message about `run` in the transaction that moved it; what repeats, once an episode."""
    if run.reason in NOT_ESCALATED:
        return
    key = f"{run.episode}/{run.state}/{run.reason}" + (f"/{run.id}" if run.state in ESCALATED_EVERY_TIME else "")
    notifications = await outbox.notifications_of(connection, run.episode)
    if notifications is not None and key in notifications.keys:
        return
    contacts = contacts_for(context.inventory, run.stack, notifications)
    message = await run_message(connection, context, run, await episodes.get(connection, run.episode))
    await outbox.enqueue(connection, run.episode, key, contacts, *message, context.clock.now())
