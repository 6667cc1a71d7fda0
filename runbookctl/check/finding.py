"""The findings of `runbookctl check`."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_NAMES = 5


@dataclass(frozen=True)
class CheckFinding:
    """Two settings that do not fit together. `place` is a file with its line, or a key of the inventory."""

    place: str
    problem: str
    repair: str


def name_some(names: Sequence[str]) -> str:
    """Return the first names, and the number of the others."""
    distinct = list(dict.fromkeys(names))
    more = len(distinct) - MOST_NAMES
    return ", ".join(distinct[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
