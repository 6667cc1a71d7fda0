"""Reads --since, --until and --step, and refuses times that cannot be meant."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runbookctl.errors import WrongUsage
from runbookd.inventory import format_duration, parse_duration

LONGEST, SHORTEST = timedelta(days=400), timedelta(minutes=1)
LONGEST_STEP = timedelta(minutes=5)  # a longer one would miss short alerts, and Prometheus forgets a sample after it


@dataclass(frozen=True)
class Period:
    """The time that is replayed, and the steps in which it is read."""

    since: datetime
    until: datetime
    step: timedelta


def parse_since(text: str) -> timedelta:
    """Read --since.

    Raises:
        WrongUsage: it is not a duration, or not one that can be meant.
    """
    span = _duration("--since", text)
    if not SHORTEST <= span <= LONGEST:
        raise WrongUsage(f"--since {text}: set {format_duration(SHORTEST)} to {format_duration(LONGEST)}, like 30d")
    return span


def parse_period(since: str, until: str | None, step: str, now: datetime | None = None) -> Period:
    """Read the three options; without --until, the period ends now.

    Raises:
        WrongUsage: one of them cannot be meant.
    """
    now = now or datetime.now(UTC)
    length, each = _duration("--step", step), parse_since(since)
    end = now if until is None else _moment(until)
    if end > now:
        raise WrongUsage(f"--until {until} is in the future; set a moment that has passed")
    if not timedelta(seconds=1) <= length <= LONGEST_STEP:
        raise WrongUsage(f"--step {step}: set 1s to {format_duration(LONGEST_STEP)}, at best your evaluation_interval")
    end = end.replace(microsecond=0)
    return Period(end - each, end, length)


def _duration(flag: str, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise WrongUsage(f"{flag}: {error}") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUsage(f"--until {text!r} is not a moment; write it like 2026-11-30T12:00:00Z") from None
    if moment.tzinfo is None:
        raise WrongUsage(f"--until {text} has no zone; write it like 2026-11-30T12:00:00Z")
    return moment.astimezone(UTC)
