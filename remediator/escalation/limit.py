"""How many messages a contact gets: 20 within 10 minutes, then one summary of those that wait."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import LeaderContext
from remediator.escalation.content import Content, Severity, from_stored
from remediator.escalation.links import console_link
from remediator.ledger import outbox, outbox_limit
from remediator.ledger.outbox import Message
from runbookd.inventory import Inventory

MAX_MESSAGES = 20
WINDOW = timedelta(minutes=10)
SHOWN_TITLES = 40
log = structlog.get_logger(__name__)


async def due_messages(connection: AsyncConnection, now: datetime) -> Sequence[Message]:
    """Return the messages that may be sent now: retries, critical ones, and others up to the limit of their contact."""
    messages: list[Message] = []
    for contact in await outbox.unsent_contacts(connection):
        messages += await outbox.due(connection, contact, now, await _room(connection, contact, now))
    return messages


async def contacts_to_summarize(connection: AsyncConnection, now: datetime) -> Sequence[str]:
    """Return the contacts at their limit with messages that wait and no summary within WINDOW."""
    return [
        contact
        for contact in await outbox.unsent_contacts(connection)
        if await _room(connection, contact, now) <= 0
        and not await outbox_limit.has_summary_since(connection, contact, now - WINDOW)
        and await outbox_limit.waiting(connection, contact, 1)
    ]


async def summarize(context: LeaderContext, contact: str) -> None:
    """Queue one summary instead of the messages that wait."""
    async with context.ledger.write() as connection:
        waiting = await outbox_limit.waiting(connection, contact)
        if not waiting:
            return
        content = summary_of(context.inventory, [from_stored(each.title, each.body) for each in waiting])
        await outbox_limit.fold(connection, waiting, content.draft(), context.clock.now())
    log.warning("too many messages: sending a summary", contact=contact, messages=len(waiting))


async def _room(connection: AsyncConnection, contact: str, now: datetime) -> int:
    return MAX_MESSAGES - await outbox_limit.count_active(connection, contact, now - WINDOW, now)


def summary_of(inventory: Inventory, contents: Sequence[Content]) -> Content:
    """Return one message instead of `contents`, the worst first."""
    worst_first = sorted(contents, key=lambda each: -each.severity.rank)
    counts = Counter(each.severity for each in worst_first)
    numbers = ", ".join(f"{number} {severity}" for severity, number in counts.items())
    shown = [f"{each.severity}: {each.title}" for each in worst_first[:SHOWN_TITLES]]
    if len(contents) > SHOWN_TITLES:
        shown.append(f"… and {len(contents) - SHOWN_TITLES} more: runbookctl runs")
    return Content(
        f"{len(contents)} more messages: {numbers}",
        worst_first[0].severity if worst_first else Severity.INFO,
        facts=tuple(shown),
        advice=("what next: Too many messages at once mean one cause. Look for what they have in common.",),
        links=console_link(inventory, "runs", "/runs"),
        more="runbookctl runs",
    )
