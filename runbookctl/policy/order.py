"""Finds the moments of a file of cases that are not in order: a reader would take them for what they are not."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

from runbookctl.policy.file_format import Case, Plan, PolicyFile
from runbookd.inventory import PlacedBlock, Problem, format_duration


def order_problems(source: PlacedBlock[PolicyFile]) -> Iterator[Problem]:
    """Yield a problem for each entry that comes after a later one."""
    for number, case in enumerate(source.block.cases):
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


def _disordered(moments: Moments, *, may_repeat: bool) -> Iterator[tuple[int, str]]:
    for (_, before), (position, moment) in pairwise(moments):
        if moment < before:
            yield position, f"{format_duration(moment)} comes after {format_duration(before)}; put them in order"
        elif moment == before and not may_repeat:
            yield position, f"{format_duration(moment)} is there already; join the two entries"
