"""Finds moments in a file of cases that are out of order or overlap: a reader would take them for what they are not."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

from runbookctl.policy.file_format import LONGEST_CASE, ZERO, Case, Plan, PolicyFile
from runbookd.inventory import PlacedBlock, Problem, format_duration
from runbookd.inventory.yaml_places import KeyPath


def order_problems(source: PlacedBlock[PolicyFile]) -> Iterator[Problem]:
    """Yield a problem for each entry that comes after a later one, or begins before the same one has ended."""
    for number, case in enumerate(source.block.cases):
        for path, why in _overlaps(case):
            yield source.problem(("cases", number, *path), why)
        for key, moments, may_repeat in (*_lists(case), *_plans(case)):
            path = ("cases", number, key)
            for position, why in _disordered(moments, may_repeat=may_repeat):
                yield source.problem((*path, position, "at"), why)


Moments = Sequence[tuple[int, timedelta]]
"""The moments of the entries of a list that belong together, each with its place in the list."""


def _lists(case: Case) -> Iterator[tuple[str, Moments, bool]]:
    yield "events", [(place, each.at) for place, each in enumerate(case.events)], True
    yield "expect", [(place, each.at) for place, each in enumerate(case.expect)], False


def _plans(case: Case) -> Iterator[tuple[str, Moments, bool]]:
    """Yield the moments of the entries about each target, which replace each other."""
    for about in dict.fromkeys(map(_about, case.plans)):
        yield "plans", [(place, each.at) for place, each in enumerate(case.plans) if _about(each) == about], False


def _about(plan: Plan) -> tuple[str | None, ...]:
    return plan.stack, plan.remediation, plan.target, plan.queue


def _overlaps(case: Case) -> Iterator[tuple[KeyPath, str]]:
    """Yield the outages and alerts that begin within the same one: the end of the first would end both."""
    spans: dict[str, list[tuple[timedelta, timedelta, KeyPath]]] = defaultdict(list)
    for place, alert in enumerate(case.alerts):
        about = repr(alert.model_copy(update={"since": ZERO, "until": None, "resolves": True}))
        spans[about].append((alert.since, alert.until or LONGEST_CASE, ("alerts", place)))
    for place, event in enumerate(case.events):
        if event.outage is not None:
            spans[event.kind].append((event.at, event.at + event.outage.span, ("events", place)))
    for same in spans.values():
        for (_, end, _), (begin, _, path) in pairwise(sorted(same)):
            if begin < end:
                yield path, f"begins before the same one ends at {format_duration(end)}; join the two entries"


def _disordered(moments: Moments, *, may_repeat: bool) -> Iterator[tuple[int, str]]:
    for (_, before), (position, moment) in pairwise(moments):
        if moment < before:
            yield position, f"{format_duration(moment)} comes after {format_duration(before)}; put them in order"
        elif moment == before and not may_repeat:
            yield position, f"{format_duration(moment)} is there already; join the two entries"
