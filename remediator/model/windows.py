"""Weekly windows and freezes, evaluated in the time zone of the inventory."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from runbookd.inventory import Freeze, Window

_QUARTER, _DAY, _TICK = timedelta(minutes=15), timedelta(days=1), timedelta.resolution
# A week, and reserve for days that a change of the zone's calendar skips.
_SEARCHED_DAYS = 16
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def in_window(window: Window, moment: datetime) -> bool:
    """Return whether `moment` lies in `window`, which includes its start but not its end.

    The wall clock of the window's zone decides, so an hour that a clock change repeats counts twice. A window that a
    change skips entirely opens after the change, for its usual length.
    """
    return _open_by_wall_clock(window, moment) or _open_after_skip(window, moment)


def _open_by_wall_clock(window: Window, moment: datetime) -> bool:
    local = moment.astimezone(ZoneInfo(window.zone))
    today, yesterday = _DAYS[local.weekday()], _DAYS[local.weekday() - 1]
    clock = local.time()
    if window.start < window.end:
        return today in window.days and window.start <= clock < window.end
    return (today in window.days and clock >= window.start) or (yesterday in window.days and clock < window.end)


def _open_after_skip(window: Window, moment: datetime) -> bool:
    day = moment.astimezone(ZoneInfo(window.zone)).date()
    # The zone may have skipped a whole day.
    return any(start <= moment < end for ago in range(3) for start, end in _after_skip(window, day - ago * _DAY))


def _after_skip(window: Window, day: date) -> Iterator[tuple[datetime, datetime]]:
    """Yield the window of that day behind the clock change that skips it."""
    zone = ZoneInfo(window.zone)
    start, end = (datetime.combine(day, clock, tzinfo=zone) for clock in (window.start, window.end))
    if _DAYS[day.weekday()] in window.days and start < end and _skipped(start) and _skipped(end - _TICK):
        opens = start.astimezone(UTC)  # by the clock before the change
        yield opens, opens + (end - start)


def _skipped(local: datetime) -> bool:
    """Return whether the wall clock never shows this time."""
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None)


def format_window(window: Window) -> str:
    """Format a window as the inventory writes it."""
    return f"{', '.join(window.days)} {window.start:%H:%M} to {window.end:%H:%M} {window.zone}"


def next_start(window: Window, moment: datetime) -> datetime:
    """Return the first moment at or after `moment` that lies in `window`."""
    if in_window(window, moment):
        return moment
    for day in range(-1, _SEARCHED_DAYS):
        inside = [
            start for start in _starts_on_day(window, moment, day) if start >= moment and in_window(window, start)
        ]
        if inside:
            return min(inside).astimezone(moment.tzinfo)
    raise AssertionError(f"no start within {_SEARCHED_DAYS} days of {moment}: {window}")


def end_after(window: Window, moment: datetime) -> datetime:
    """Return the first moment at or after `moment` that does not lie in `window`."""
    if not in_window(window, moment):
        return moment
    day = moment.astimezone(ZoneInfo(window.zone)).date()
    candidates = (end for ahead in range(-3, 3) for end in _ends_on_day(window, day + ahead * _DAY))
    return min(each for each in candidates if each > moment and not in_window(window, each)).astimezone(moment.tzinfo)


def _ends_on_day(window: Window, day: date) -> Iterator[datetime]:
    """Yield the moments at which the window may end on that day: a clock that is set back can leave it early."""
    zone = ZoneInfo(window.zone)
    yield from (end for _, end in _after_skip(window, day))
    for fold in (0, 1):
        yield datetime.combine(day, window.end.replace(fold=fold), tzinfo=zone).astimezone(UTC)
    yield from _quarters_of_change(day, zone)


def occurrences(window: Window, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield when the window opens and closes, for each time that it is open between these moments."""
    earlier = since - 2 * _DAY  # no window is open for longer than a day
    start = next_start(window, end_after(window, earlier))
    while start < until:
        end = end_after(window, start)
        if end > since:
            yield start, end
        start = next_start(window, end)


def _starts_on_day(window: Window, moment: datetime, days_ahead: int) -> Iterator[datetime]:
    """Yield the moments at which the window may begin on that day.

    On a day with a clock change, which always falls on a quarter of an hour, it may begin twice, or at or after the
    change.
    """
    zone = ZoneInfo(window.zone)
    day = moment.astimezone(zone).date() + timedelta(days=days_ahead)
    yield from (start for start, _ in _after_skip(window, day))
    for fold in (0, 1):
        yield datetime.combine(day, window.start.replace(fold=fold), tzinfo=zone).astimezone(UTC)
    yield from _quarters_of_change(day, zone)


def _quarters_of_change(day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield every quarter of an hour of a day with a clock change, which falls on one of them."""
    midnight, next_midnight = (datetime.combine(each, time(), tzinfo=zone) for each in (day, day + _DAY))
    if midnight.utcoffset() != next_midnight.utcoffset():
        quarter = midnight.astimezone(UTC)
        while quarter <= next_midnight:
            yield quarter
            quarter += _QUARTER


def active_freeze(freezes: Iterable[tuple[str, Freeze]], moment: datetime) -> str | None:
    """Return the name of a freeze that `moment` lies in, or None."""
    return next((name for name, _ in _freezes_in_force(freezes, moment)), None)


def describe_freeze(freezes: Iterable[tuple[str, Freeze]], moment: datetime) -> str | None:
    """Describe the freeze that `moment` lies in, with its end and reason, or return None."""
    for name, freeze in _freezes_in_force(freezes, moment):
        reason = f": {freeze.reason}" if freeze.reason else ""
        return f"{name} (until {freeze.end.astimezone(UTC):%Y-%m-%d %H:%M} UTC{reason})"
    return None


def _freezes_in_force(freezes: Iterable[tuple[str, Freeze]], moment: datetime) -> Iterator[tuple[str, Freeze]]:
    return ((name, freeze) for name, freeze in freezes if freeze.start <= moment < freeze.end)
