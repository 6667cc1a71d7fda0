"""The clock, passed to every decision that depends on time, so that tests can set it."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

CLOCK_TOLERANCE = timedelta(seconds=30)
"""A moment that lies further in the future shows that the clock was set back."""


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> datetime:
        """Return the current time in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)


def is_recent(moment: datetime, span: timedelta, now: datetime) -> bool:
    """Return whether `moment` lies within `span` before `now`.

    False for the future, which means that the clock was set back.
    """
    return now - span <= moment <= now


def rfc3339(moment: datetime | None) -> str | None:
    """Format `moment` in UTC, with a Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
