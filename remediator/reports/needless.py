"""Needless runs: those whose alert would probably have gone by itself within the same time.

The comparison is with alerts of the same remediation and stack that ended before the run began, that were resolved, and
that neither a run nor an operator touched. Only alerts that lasted at least as long as this one had when the run was
admitted are comparable: shorter ones were over before a run would have acted. A run counts as needless if there are at
least MIN_COMPARABLE of them, and at least half were over within the time in which the run fixed it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MIN_COMPARABLE = 5


class Fix(NamedTuple):
    """A run that succeeded; the moments and spans are microseconds."""

    run: int
    admitted_at: int
    delay: int
    """From the start of the alert to the admission."""
    took: int
    """From the start of the alert to the proof that it is fixed."""


class Untouched(NamedTuple):
    """An alert that went by itself."""

    ended_at: int
    lasted: int


@dataclass(frozen=True)
class Needless:
    """The needless ones of the runs that could be judged; `unjudged` have too few comparable alerts."""

    judged: int
    unjudged: int
    runs: Sequence[int]


def judge(fixes: Iterable[Fix], untouched: Iterable[Untouched]) -> Needless:
    """Judge the runs of one remediation of one stack."""
    waiting = sorted(untouched, reverse=True)
    lasted: list[int] = []  # of the alerts that were over before the run, sorted
    judged, unjudged, needless = 0, 0, []
    for fix in sorted(fixes, key=lambda each: each.admitted_at):
        while waiting and waiting[-1].ended_at <= fix.admitted_at:
            insort(lasted, waiting.pop().lasted)
        first = bisect_left(lasted, fix.delay)
        comparable, as_fast = len(lasted) - first, max(bisect_right(lasted, fix.took) - first, 0)
        if comparable < MIN_COMPARABLE:
            unjudged += 1
            continue
        judged += 1
        if 2 * as_fast >= comparable:
            needless.append(fix.run)
    return Needless(judged, unjudged, needless)
