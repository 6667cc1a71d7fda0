"""The spread of durations: how many, their median and their 90th percentile."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil


@dataclass(frozen=True)
class Spread:
    """The median and the 90th percentile of `number` durations; None without any."""

    number: int
    median: timedelta | None
    ninetieth: timedelta | None


def spread_of(microseconds: Iterable[int]) -> Spread:
    """Return the spread by the nearest rank: each percentile is a duration that was measured."""
    ordered = sorted(microseconds)
    return Spread(len(ordered), _percentile(ordered, 50), _percentile(ordered, 90))


def _percentile(ordered: list[int], percent: int) -> timedelta | None:
    if not ordered:
        return None
    return timedelta(microseconds=max(ordered[ceil(len(ordered) * percent / 100) - 1], 0))
