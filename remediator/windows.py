"""Whether a moment lies in a weekly window or a freeze, in the zone that people wrote it in."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from inventory import Freeze, Window

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def in_window(window: Window, moment: datetime) -> bool:
    """Whether `moment` lies in `window`, half open: its start belongs to it, its end does not.

    Judged by the wall clock of the window's zone, so an hour that daylight saving repeats counts twice and one that
    it skips not at all.
    """
    local = moment.astimezone(ZoneInfo(window.zone))
    today, yesterday = _DAYS[local.weekday()], _DAYS[local.weekday() - 1]
    clock = local.time()
    if window.start < window.end:
        return today in window.days and window.start <= clock < window.end
    return (today in window.days and clock >= window.start) or (yesterday in window.days and clock < window.end)


def next_start(window: Window, moment: datetime) -> datetime:
    """The first start of `window` at or after `moment`."""
    zone = ZoneInfo(window.zone)
    local = moment.astimezone(zone)
    for ahead in range(9):
        day = local.date() + timedelta(days=ahead)
        start = datetime.combine(day, window.start, tzinfo=zone)
        if _DAYS[day.weekday()] in window.days and start >= moment:
            return start.astimezone(moment.tzinfo)
    raise AssertionError(f"no start within nine days of {moment}: {window}")


def active_freeze(freezes: Iterable[tuple[str, Freeze]], moment: datetime) -> str | None:
    """The name of a freeze that `moment` lies in, or None."""
    return next((name for name, freeze in freezes if freeze.start <= moment < freeze.end), None)
