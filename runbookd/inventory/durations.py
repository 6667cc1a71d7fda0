"""Durations in the inventory: `90s`, `5m`, `24h`, `7d`, or several units as in `1h30m`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from runbookd.inventory.constraints import BeforeValidator, PlainSerializer

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
LONGEST = timedelta(days=3_660)  # ten years: a longer one is a typo, and adding it to a date would overflow
_SHAPE = re.compile(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


def parse_duration(text: str) -> timedelta:
    """Parse a duration such as `90s` or `1h30m`.

    Raises:
        ValueError: `text` is not whole numbers with the units d, h, m, s, each at most once and in this order,
            or it is longer than LONGEST.
    """
    match = _SHAPE.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration; write it like 90s, 5m, 24h, 7d or 1h30m")
    try:
        seconds = sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS.values(), strict=True))
        duration = timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        duration = timedelta.max
    if duration > LONGEST:
        raise ValueError(f"{text[:20]!r} is too long; a duration is at most {format_duration(LONGEST)}")
    return duration


def format_duration(duration: timedelta) -> str:
    """Format the whole seconds of `duration` so that `parse_duration` can read them back."""
    rest = int(duration.total_seconds())
    parts = []
    for unit, seconds in _UNITS.items():
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _from_yaml(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"a duration needs a unit: write {value}s, not {value}")


Duration = Annotated[
    timedelta, BeforeValidator(_from_yaml), PlainSerializer(format_duration, return_type=str, when_used="json")
]
