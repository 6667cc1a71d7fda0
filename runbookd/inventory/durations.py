"""Durations as people write them: `90s`, `5m`, `24h`, `7d`, and `1h30m` for what one unit can not say."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
LONGEST = timedelta(days=3_660)  # ten years: longer ones are slips, and could not be added to a date
_SHAPE = re.compile(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


def parse_duration(text: str) -> timedelta:
    """Return the duration that `text` states.

    Raises:
        ValueError: `text` is not whole numbers with the units d, h, m, s, each at most once and in this order.
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
        raise ValueError(f"a duration is at most {format_duration(LONGEST)}; this one is {text[:20]!r}")
    return duration


def format_duration(duration: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads back as the same whole seconds."""
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


Duration = Annotated[timedelta, BeforeValidator(_from_yaml)]
