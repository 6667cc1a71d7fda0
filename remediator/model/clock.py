"""The time, passed in wherever a decision depends on it, so that a test can decide what time it is."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The current time in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def is_recent(moment: datetime, span: timedelta, now: datetime) -> bool:
    """Whether `moment` lies within `span` before `now`. False for the future: the clock has been set back since."""
    return now - span <= moment <= now


def rfc3339(moment: datetime | None) -> str | None:
    """`moment` as people and programs exchange it: UTC, with a Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
