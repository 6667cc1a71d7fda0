"""Whether a moment lies in a weekly window or a freeze, in the zone that people wrote it in."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from runbookd.inventory import Freeze, Window

_QUARTER = timedelta(minutes=15)
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


def format_window(window: Window) -> str:
    """A window as people write it."""
    return f"{', '.join(window.days)} {window.start:%H:%M} to {window.end:%H:%M} {window.zone}"


def next_start(window: Window, moment: datetime) -> datetime:
    """The first moment at or after `moment` that lies in `window`."""
    if in_window(window, moment):
        return moment
    for day in range(9):
        inside = [
            start for start in _starts_on_day(window, moment, day) if start >= moment and in_window(window, start)
        ]
        if inside:
            return min(inside).astimezone(moment.tzinfo)
    raise AssertionError(f"no start within nine days of {moment}: {window}")


def _starts_on_day(window: Window, moment: datetime, days_ahead: int) -> Iterator[datetime]:
    """When it may begin on that day.

    Where the clocks change it may begin twice, or at the change itself, which falls on a quarter of an hour everywhere.
    """
    zone = ZoneInfo(window.zone)
    day = moment.astimezone(zone).date() + timedelta(days=days_ahead)
    for fold in (0, 1):
        yield datetime.combine(day, window.start.replace(fold=fold), tzinfo=zone).astimezone(UTC)
    midnight, next_midnight = (datetime.combine(each, time(), tzinfo=zone) for each in (day, day + timedelta(days=1)))
    if midnight.utcoffset() != next_midnight.utcoffset():
        quarter = midnight.astimezone(UTC)
        while quarter < next_midnight:
            yield quarter
            quarter += _QUARTER


def active_freeze(freezes: Iterable[tuple[str, Freeze]], moment: datetime) -> str | None:
    """The name of a freeze that `moment` lies in, or None."""
    return next((name for name, _ in _freezes_in_force(freezes, moment)), None)


def describe_freeze(freezes: Iterable[tuple[str, Freeze]], moment: datetime) -> str | None:
    """The freeze that `moment` lies in, with its end and reason, or None."""
    for name, freeze in _freezes_in_force(freezes, moment):
        reason = f": {freeze.reason}" if freeze.reason else ""
        return f"{name} (until {freeze.end.astimezone(UTC):%Y-%m-%d %H:%M} UTC{reason})"
    return None


def _freezes_in_force(freezes: Iterable[tuple[str, Freeze]], moment: datetime) -> Iterator[tuple[str, Freeze]]:
    return ((name, freeze) for name, freeze in freezes if freeze.start <= moment < freeze.end)
