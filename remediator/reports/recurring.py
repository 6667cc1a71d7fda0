"""Problems that come back: the same remediation on the same target, again and again within a week.

A remediation that repairs the same thing every other day hides a fault. Each finding has its evidence, which is what
the ledger recorded of the items, and the permanent fix for an operator to apply.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger.recurrences import Recurrence, items_found, recurrences_since, runs_of
from remediator.masking import mask_text
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import Item, PermanentFix
from remediator.model.target import ResolvedTarget, resolve_target

WEEK = timedelta(days=7)
MAX_CAUSES = 5
MAX_VALUE = 100  # characters


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


async def recurring_problems(
    connection: AsyncConnection, context: Context, stack: str | None = None
) -> Sequence[RecurringProblem]:
    """Return the recurring problems of the last week, the most frequent first; those of all stacks by default."""
    since = context.clock.now() - WEEK
    counted = await recurrences_since(connection, since, stack=stack)
    found = [await _problem(connection, context, each, since) for each in counted]
    return [each for each in found if each is not None]


def limit_of(target: ResolvedTarget) -> int:
    """Return the number of times a week from which a problem of `target` counts as recurring."""
    return target.settings.recurring_after or target.remediation.permanent_fix.after


async def _problem(
    connection: AsyncConnection, context: Context, counted: Recurrence, since: datetime
) -> RecurringProblem | None:
    target = resolve_target(context.inventory, context.remediations, counted.key)
    if not isinstance(target, ResolvedTarget) or counted.times < (limit := limit_of(target)):
        return None
    declared = target.remediation.permanent_fix
    runs = await runs_of(connection, counted.key, since)
    items = await items_found(connection, runs)
    causes = causes_of(declared, items)
    return RecurringProblem(
        stack=counted.key.stack,
        remediation=counted.key.remediation,
        target=counted.key.target,
        times=counted.times,
        acted=counted.acted,
        limit=limit,
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
