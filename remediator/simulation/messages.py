"""The sender of a simulation: every contact takes every message at once, and nothing leaves the process.

The ladder, its acknowledgements and the limit of messages per contact are the remediator's own.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

from remediator.context import LeaderContext
from remediator.escalation.acknowledge import end_lapsed
from remediator.escalation.limit import contacts_to_summarize, due_messages, summarize
from remediator.escalation.policy import escalate_due_steps, steps_of
from remediator.escalation.sender import ROUND_SECONDS, ROUNDS_PER_ESCALATION
from remediator.ledger import acknowledgements, outbox
from remediator.ledger.outbox import NotifiedEpisode
from remediator.ledger.sqlite.memory import MemoryLedger
from remediator.model.errors import LedgerUnavailable
from runbookd.inventory import Inventory

ESCALATION_SECONDS = ROUND_SECONDS * ROUNDS_PER_ESCALATION


async def send_in_simulation(context: LeaderContext, ledger: MemoryLedger) -> None:
    """Run the sender's rounds: when something changes, and when a step, a retry or an acknowledgement may be due."""
    while True:
        ledger.changed.clear()
        try:
            await end_lapsed(context)
            await escalate_due_steps(context)
            await _send_due(context)
            due_at = await _next_round_at(context)
        except LedgerUnavailable:
            await asyncio.sleep(ROUND_SECONDS)
            continue
        await asyncio.sleep(ROUND_SECONDS)
        await _wait(ledger, None if due_at is None else (due_at - context.clock.now()).total_seconds())


async def _send_due(context: LeaderContext) -> None:
    async with context.ledger.read() as connection:
        limited = await contacts_to_summarize(connection, context.clock.now())
    for contact in limited:
        await summarize(context, contact)
    async with context.ledger.read() as connection:
        messages = await due_messages(connection, context.clock.now())
    if messages:
        async with context.ledger.write() as connection:
            for message in messages:
                if await outbox.claim(connection, message, context.clock.now()):
                    await outbox.mark_sent(connection, message.id, context.clock.now())


async def _next_round_at(context: LeaderContext) -> datetime | None:
    """Return when time alone gives the sender work, or None; at what is overdue it looks at each escalation."""
    now = context.clock.now()
    async with context.ledger.read() as connection:
        notified = await outbox.notified_open_episodes(connection)
        in_hand = await acknowledgements.all_open(connection)
        moments = [now] if await outbox.count_unsent(connection) else []
    moments += [each.until for each in in_hand if each.until is not None]
    held = {each.episode for each in in_hand}
    for each in notified:
        if each.notifications.episode not in held:
            moments += _step_moments(context.inventory, each)
    return max(min(moments), now + timedelta(seconds=ESCALATION_SECONDS)) if moments else None


def _step_moments(inventory: Inventory, notified: NotifiedEpisode) -> Iterator[datetime]:
    """Yield when each step is due that was not sent yet; the time in which an operator had the episode delays it."""
    for name, step in steps_of(inventory, notified.key.stack).items():
        is_pending = outbox.step_key(notified.notifications.episode, name) not in notified.notifications.keys
        if is_pending and not step.is_immediate:
            yield notified.notifications.since + step.after


async def _wait(ledger: MemoryLedger, seconds: float | None) -> None:
    """Wait for a change of the ledger, at most `seconds`."""
    try:
        async with asyncio.timeout(None if seconds is None else max(seconds, 0.0)):
            await ledger.changed.wait()
    except TimeoutError:
        return
