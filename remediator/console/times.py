"""Times as the pages show them: in UTC, in the zone of the stack, and relative to now."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from runbookd.inventory import Stack

_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3_600, 86_400


def zone_of(stack: Stack | None) -> ZoneInfo | None:
    """Return the zone of the stack, else the only zone of its windows besides UTC, else None."""
    if stack is None:
        return None
    zones = {stack.zone} if stack.zone else {window.zone for window in stack.windows.values()}
    zones.discard("UTC")
    return ZoneInfo(zones.pop()) if len(zones) == 1 else None


def utc_text(at: datetime, now: datetime) -> str:
    """Return the time in UTC: of today with seconds, of another day with its date, of another year with that too."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    if at.date() == now.date():
        return f"{at:%H:%M:%S} UTC"
    return f"{at:%d %b %H:%M} UTC" if at.year == now.year else f"{at:%Y-%m-%d %H:%M} UTC"


def clock_text(at: datetime) -> str:
    """Return the time of day to the millisecond, for events close to each other."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"


def zone_text(at: datetime, zone: ZoneInfo | None) -> str:
    """Return the time in the stack's zone, with the day if it is another one than in UTC; empty without a zone."""
    if zone is None:
        return ""
    local = at.astimezone(zone)
    day = "" if local.date() == at.astimezone(UTC).date() else f"{local:%a} "
    return f"{day}{local:%H:%M %Z}"


def iso_text(at: datetime) -> str:
    """Return the time as the attribute `datetime` wants it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def relative_text(at: datetime, now: datetime) -> str:
    """Return how long ago it is, or how long until then; console.js writes the same words."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 5:
        return "now"
    return f"{span_text(seconds)} ago" if seconds > 0 else f"in {span_text(-seconds)}"


def span_text(span: timedelta | float) -> str:
    """Return a span in its two largest units, as in `2 h 13 min`."""
    seconds = int(span.total_seconds() if isinstance(span, timedelta) else span)
    for unit, size, next_unit, next_size in (("d", _DAY, "h", _HOUR), ("h", _HOUR, "min", _MINUTE)):
        if seconds >= size:
            rest = seconds % size // next_size
            return f"{seconds // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    if seconds >= _MINUTE:
        rest = seconds % _MINUTE if seconds < 10 * _MINUTE else 0
        return f"{seconds // _MINUTE} min" + (f" {rest} s" if rest else "")
    return f"{seconds} s"
