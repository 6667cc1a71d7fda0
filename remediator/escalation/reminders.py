"""The reminders of a stack during an incident: to post the update that its runbook wants every so often.

They count from the first alert of the incident, and go on while it is acknowledged: an update is for those who wait.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context, LeaderContext
from remediator.escalation.content import Content, Severity
from remediator.escalation.links import console_link
from remediator.ledger import acknowledgements, episodes, outbox
from remediator.ledger.acknowledgements import Acknowledgement
from remediator.ledger.episodes import Episode
from remediator.model.clock import is_recent
from runbookd.inventory import Reminder, format_duration

SHOWN_EPISODES = 10


async def queue_reminders(context: LeaderContext) -> None:
    """Queue the reminders that are due, each interval once, whatever is restarted or reloaded.

    An episode that no delivery confirms any more may be over, so it reminds nobody.
    """
    context = context.snapshot()
    stacks = {name: stack.reminders for name, stack in context.inventory.stacks.items() if stack.reminders}
    if not stacks:
        return
    async with context.ledger.read() as connection:
        firing = [each for each in await episodes.all_open(connection) if _is_confirmed(context, each)]
    for stack, reminders in stacks.items():
        for name, reminder in reminders.items():
            incident = [each for each in firing if each.stack == stack and each.priority in reminder.priorities]
            if incident:
                async with context.ledger.write() as connection:
                    await _queue_if_due(connection, context, name, reminder, incident)


def _is_confirmed(context: Context, episode: Episode) -> bool:
    return is_recent(episode.confirmed_at, 2 * context.repeat_interval, context.clock.now())


async def _queue_if_due(
    connection: AsyncConnection, context: Context, name: str, reminder: Reminder, incident: Sequence[Episode]
) -> None:
    stack, now = incident[0].stack, context.clock.now()
    began_at = min(_began_at(each, now) for each in incident)
    last = await outbox.last_reminder_at(connection, stack, name)
    counts_from = began_at if last is None or last > now else max(began_at, last)  # after a clock that was set back
    if now < counts_from + reminder.every:
        return
    in_hand = await acknowledgements.latest_of(connection, [each.id for each in incident])
    message = _message(context, reminder, incident, in_hand, now - began_at)
    key = outbox.reminder_key(stack, name, now)
    await outbox.enqueue(connection, None, key, reminder.contacts, message.draft(), now)


def _began_at(episode: Episode, now: datetime) -> datetime:
    """Return when its first alert was delivered; if the clock was set back since, when it began to fire."""
    return episode.delivered_at if episode.delivered_at <= now else episode.firing_since


def _message(
    context: Context,
    reminder: Reminder,
    incident: Sequence[Episode],
    in_hand: Mapping[int, Acknowledgement],
    duration: timedelta,
) -> Content:
    stack, priority = incident[0].stack, min(each.priority for each in incident)
    settings = context.inventory.stacks[stack]
    lasted = format_duration(timedelta(minutes=int(duration.total_seconds()) // 60))
    links = ("runbook", settings.runbook_url), ("dashboard", settings.dashboard_url)
    return Content(
        f"[{stack}] an update is due: {priority} for {lasted}",
        Severity.WARNING,
        facts=tuple(_facts(incident, in_hand, context.clock.now())),
        advice=(reminder.text or "Post an update: what is broken, what you do, when the next update comes.",),
        links=(*console_link(context.inventory, "stack", f"/stacks/{stack}"), *(each for each in links if each[1])),
        more=f"runbookctl episodes --stack {stack}",
    )


def _facts(incident: Sequence[Episode], in_hand: Mapping[int, Acknowledgement], now: datetime) -> Iterator[str]:
    for each in incident[:SHOWN_EPISODES]:
        current = in_hand.get(each.id)
        holds = current is not None and current.why_over(each, now) is None
        who = f"{current.operator} has it in hand" if current is not None and holds else "no operator has it in hand"
        note = f" ({current.note})" if current is not None and holds and current.note else ""
        since = f"{each.firing_since:%Y-%m-%d %H:%M} UTC"
        yield f"{', '.join(each.alert_names[:SHOWN_EPISODES])} on {each.target} since {since}: {who}{note}"
    if len(incident) > SHOWN_EPISODES:
        yield f"and {len(incident) - SHOWN_EPISODES} more"
