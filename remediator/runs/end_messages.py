"""The message that an episode has ended, with the state of its target now.

An alert also resolves when nothing is measured any more: a database that stops answering has no idle sessions either.
So the target is read before contacts are told that the problem is over.
"""

import asyncio
from datetime import timedelta

from remediator.context import Context
from remediator.escalation.message import Finding, end_message
from remediator.ledger import outbox
from remediator.ledger.episodes import Episode
from remediator.model.target import ResolvedTarget, UnresolvedTarget, resolve_target
from remediator.runs.planning import PlanFailed, read_plan
from runbookd.inventory import Mode

MAX_AGE = timedelta(hours=1)  # of an end, beyond which a message would only confuse
MAX_CONCURRENT_READS = 5
NOT_READ = Finding("The target was not read again.", is_clean=True)


async def notify_ends(context: Context) -> None:
    """Read the targets of episodes that have ended, and queue the messages to the contacts that know of them."""
    now = context.clock.now()
    async with context.ledger.read() as connection:
        ended = await outbox.ended_without_message(connection, now - MAX_AGE)
    limit = asyncio.Semaphore(MAX_CONCURRENT_READS)
    await asyncio.gather(*(_notify_end(context, episode, limit) for episode in ended))


async def _notify_end(context: Context, episode: Episode, limit: asyncio.Semaphore) -> None:
    async with limit:
        finding = await _read_target(context, episode)
    async with context.ledger.write() as connection:
        notifications = await outbox.notifications_of(connection, episode.id)
        if notifications is None:
            return
        message = await end_message(connection, episode, episode.end_reason or "", finding, context.clock.now())
        contacts, now = sorted(notifications.contacts), context.clock.now()
        await outbox.enqueue(connection, episode.id, outbox.end_key(episode.id), contacts, message.draft(), now)


async def _read_target(context: Context, episode: Episode) -> Finding:
    """Return in one sentence what the reading that would make a plan finds now."""
    match resolve_target(context.inventory, context.remediations, episode.key):
        case ResolvedTarget(settings=settings) as target if settings.mode is not Mode.OFF:
            plan = await read_plan(context, target, "end")
        case ResolvedTarget() | UnresolvedTarget():
            return NOT_READ
    match plan:
        case PlanFailed(detail):
            text = f"But the target cannot be read now, so nothing proves that it is well: {detail}. Check the target."
            return Finding(text, is_clean=False)
        case _ if plan.found:
            text = f"But {plan.found} items are still as the alert found them, or are so again. Check the target."
            return Finding(text, is_clean=False)
        case _:
            return Finding("The target was read again and is clean.", is_clean=True)
