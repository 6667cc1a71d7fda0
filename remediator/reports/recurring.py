"""Problems that come back: the same remediation on the same target, again and again within a week.

A remediation that repairs the same thing every other day hides a fault. Each finding has its evidence, which is what
the ledger recorded of the items, and the permanent fix for an operator to apply.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger.protocol import Ledger
from remediator.ledger.recurrences import Recurrence, items_found, recurrences_since, runs_of
from remediator.ledger.runs import Run
from remediator.masking import mask_text
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import Item, PermanentFix
from remediator.model.target import ResolvedTarget, find_target, resolve_target

WEEK = timedelta(days=7)
QUICK_SECONDS = 0.05
MAX_CAUSES = 5
MAX_VALUE = 100  # characters


class _Reading(NamedTuple):
    recurrences: Sequence[Recurrence]
    used_until: float


_READINGS: WeakKeyDictionary[Ledger, _Reading] = WeakKeyDictionary()


@dataclass(frozen=True)
class RecurringProblem:
    """One finding: a remediation found the same problem `times` times since `first_at`, on one target.

    `acted` runs were admitted to repair it, also several for one time; the others were refused, waited in vain or only
    planned. `runs` are the first run of each time, newest first. `items` were looked at for `causes`, the most frequent
    first.
    """

    stack: str
    remediation: str
    target: str
    times: int
    acted: int
    limit: int
    first_at: datetime
    last_at: datetime
    runs: Sequence[int]
    items: int
    causes: Sequence[Cause]
    fix: Fix

    @property
    def ordinal(self) -> str:
        """How many times it was, as in `4th`."""
        ending = "th" if self.times % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(self.times % 10, "th")
        return f"{self.times}{ending}"


async def recurring_problems(
    connection: AsyncConnection,
    context: Context,
    stack: str | None = None,
    *,
    most: int | None = None,
    is_frequent: bool = False,
) -> Sequence[RecurringProblem]:
    """Return the recurring problems of the last week, the most frequent first; those of all stacks by default.

    With `most`, at most that number. `is_frequent` is as in `recent_recurrences`.
    """
    since = context.clock.now() - WEEK
    counted = [
        (each, target)
        for each, target in await recent_recurrences(connection, context, at_least=2, is_frequent=is_frequent)
        if stack in (None, each.key.stack) and each.times >= limit_of(target)
    ]
    return [
        await _problem(connection, target, each, await runs_of(connection, since, _by_hand(context), each.key))
        for each, target in counted[:most]
    ]


async def recurring_problem_of(connection: AsyncConnection, context: Context, run: Run) -> RecurringProblem | None:
    """Return the problem as it was when `run` had made its plan, or None if it was not recurring by then."""
    target = resolve_target(context.inventory, context.remediations, run.key)
    if not isinstance(target, ResolvedTarget) or not run.found:
        return None
    since = run.created_at - WEEK
    counted = await recurrences_since(connection, since, _by_hand(context), run.key, run.id)
    if not counted or counted[0].times < limit_of(target):
        return None
    runs = await runs_of(connection, since, _by_hand(context), run.key, run.id)
    return await _problem(connection, target, counted[0], runs)


async def recent_recurrences(
    connection: AsyncConnection, context: Context, *, at_least: int = 1, is_frequent: bool = False
) -> Sequence[tuple[Recurrence, ResolvedTarget]]:
    """Return the problems that came at least so often within the last week, for the targets of the inventory.

    For readers that come every few seconds (`is_frequent`), a reading that took long is used again for a hundred times
    as long, so that they cost at most 1 % of the time.
    """
    latest = _READINGS.get(context.ledger)
    if not is_frequent or latest is None or latest.used_until < monotonic():
        latest = await _read_recurrences(connection, context)
    targets = [
        (each, find_target(context.inventory, context.remediations, each.key))
        for each in latest.recurrences
        if each.times >= at_least
    ]
    return [(each, target) for each, target in targets if target is not None]


async def _read_recurrences(connection: AsyncConnection, context: Context) -> _Reading:
    began = monotonic()
    recurrences = await recurrences_since(connection, context.clock.now() - WEEK, _by_hand(context))
    took = monotonic() - began
    reading = _Reading(recurrences, monotonic() + (100 * took if took > QUICK_SECONDS else 0))
    _READINGS[context.ledger] = reading
    return reading


def _by_hand(context: Context) -> Sequence[str]:
    """Return the remediations that no alert starts."""
    return [name for name, each in context.remediations.items() if each.permanent_fix.by_hand]


def limit_of(target: ResolvedTarget) -> int:
    """Return the number of times a week from which a problem of `target` counts as recurring."""
    return target.settings.recurring_after or target.remediation.permanent_fix.after


async def _problem(
    connection: AsyncConnection, target: ResolvedTarget, counted: Recurrence, runs: Sequence[int]
) -> RecurringProblem:
    declared = target.remediation.permanent_fix
    items = await items_found(connection, runs)
    causes = causes_of(declared, items)
    return RecurringProblem(
        stack=counted.key.stack,
        remediation=counted.key.remediation,
        target=counted.key.target,
        times=counted.times,
        acted=counted.acted,
        limit=limit_of(target),
        first_at=counted.first_at,
        last_at=counted.last_at,
        runs=runs,
        items=len(items),
        causes=causes,
        fix=declared.write(target.scope("recurring"), causes),
    )


def causes_of(declared: PermanentFix, items: Sequence[Item]) -> Sequence[Cause]:
    """Return what the items have in common, the most frequent first."""
    values = [{**each.identity, **each.evidence} for each in items]
    found = Counter(_traits(declared, each) for each in values)
    least = {
        traits: _least(declared, [each for each in values if _traits(declared, each) == traits]) for traits in found
    }
    return [Cause(dict(traits), number, least[traits]) for traits, number in found.most_common(MAX_CAUSES) if traits]


def _traits(declared: PermanentFix, values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = {name: str(values[name]) for name in declared.names if values.get(name) not in (None, "")}
    masked = {name: _masked(values[name]) for name in declared.traits if values.get(name) not in (None, "")}
    return tuple((found | masked).items())


def _least(declared: PermanentFix, values: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    """Return the least of each number; an archived job has its attempts as text."""
    found = {name: [int(each[name]) for each in values if str(each.get(name)).isdecimal()] for name in declared.numbers}
    return {name: min(numbers) for name, numbers in found.items() if numbers}


def _masked(value: object) -> str:
    return mask_text(str(value))[:MAX_VALUE]
