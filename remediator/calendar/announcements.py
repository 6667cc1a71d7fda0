"""The announcements of windows: which are due when, and the messages about those that are due now."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from remediator.context import LeaderContext
from remediator.escalation.content import Content, Severity
from remediator.ledger import outbox
from remediator.model.windows import occurrences
from runbookd.inventory import Announcement, Inventory

LATE = timedelta(hours=1)  # an announcement that was due longer ago, as after an outage, is not sent


@dataclass(frozen=True)
class DueAnnouncement:
    """One announcement of one opening of a window."""

    stack: str
    window: str
    name: str
    announcement: Announcement
    opens_at: datetime
    closes_at: datetime

    @property
    def due_at(self) -> datetime:
        """The moment at which it is sent."""
        return self.about - self.announcement.before

    @property
    def about(self) -> datetime:
        """The moment that it announces."""
        return self.opens_at if self.announcement.of == "start" else self.closes_at

    @property
    def key(self) -> str:
        """The key of its message."""
        return outbox.announcement_key(self.stack, self.window, self.about, self.name)

    def message(self) -> Content:
        """Return the message."""
        verb = "opens" if self.announcement.of == "start" else "closes"
        title = f"{self.stack}: the window {self.window} {verb} at {self.about.astimezone(UTC):%a %Y-%m-%d %H:%M} UTC"
        span = f"open from {_utc(self.opens_at)} to {_utc(self.closes_at)}"
        facts = (self.announcement.text, span) if self.announcement.text else (span,)
        return Content(title, Severity.INFO, facts=facts, more="runbookctl windows", key=self.key)


def announcements(inventory: Inventory, since: datetime, until: datetime) -> Iterator[DueAnnouncement]:
    """Yield the announcements that are due between these moments."""
    for stack_name, stack in inventory.stacks.items():
        for window_name, window in stack.windows.items():
            for name, each in window.announcements.items():
                # One that closes at the very beginning is still due then.
                span = since + each.before - timedelta.resolution, until + each.before
                for opens_at, closes_at in occurrences(window, *span):
                    found = DueAnnouncement(stack_name, window_name, name, each, opens_at, closes_at)
                    if since <= found.due_at < until:
                        yield found


async def queue_announcements(context: LeaderContext) -> None:
    """Queue the announcements that are due; each is queued once, whatever is restarted or reloaded."""
    now = context.clock.now()
    sent = (each for each in announcements(context.inventory, now - LATE, now) if each.announcement.contacts)
    due = sorted(sent, key=lambda each: (each.due_at, each.about))
    if not due:
        return
    async with context.ledger.write() as connection:
        for each in due:
            await outbox.enqueue(connection, None, each.key, each.announcement.contacts, each.message().draft(), now)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
