"""The outcomes and bounds that each remediation of the inventory can meet, so that their counters start at 0.

A counter that first appears at 1 has no increase for Prometheus. Only what the settings make possible is listed: a
series for each combination would be 30 per remediation, most of which never move.
"""

from collections.abc import Iterator
from typing import NamedTuple

from remediator.model.run_state import RunState
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import Inventory, Mode, RemediationSettings, Stack

S = RunState
_ANY_MODE = (S.REFUSED, S.NOTHING_TO_DO, S.FAILED, S.CANCELLED)
_ACTING = (S.SUCCEEDED, S.INEFFECTIVE, S.UNKNOWN, S.INTERRUPTED, S.EXPIRED)
_OUTCOMES = {
    Mode.OFF: (S.REFUSED,),
    Mode.SHADOW: (S.SHADOW, *_ANY_MODE),
    Mode.APPROVE: (*_ANY_MODE, *_ACTING, S.REJECTED),
    Mode.AUTO: (*_ANY_MODE, *_ACTING),
}


class PossibleOutcomes(NamedTuple):
    """A remediation of a stack, with the outcomes, the refusing and the deferring bounds that its runs can meet."""

    stack: str
    remediation: str
    outcomes: tuple[RunState, ...]
    refusals: tuple[str, ...]
    deferrals: tuple[str, ...]


def possible_outcomes(inventory: Inventory) -> Iterator[PossibleOutcomes]:
    """Yield each remediation that the inventory names."""
    for stack_name, stack in inventory.stacks.items():
        for name, settings in stack.remediations.items():
            refusals, deferrals = _bounds(stack, name, settings)
            yield PossibleOutcomes(stack_name, name, _OUTCOMES[settings.mode], refusals, deferrals)


def _bounds(stack: Stack, name: str, settings: RemediationSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if settings.mode in (Mode.APPROVE, Mode.AUTO):
        return tuple(_refusals(stack, name, settings)), tuple(_deferrals(settings))
    return ("mode_off",) if settings.mode is Mode.OFF else (), ()


def _refusals(stack: Stack, name: str, settings: RemediationSettings) -> Iterator[str]:
    yield from ("kill_switch", "breaker", "storm", "stale", "max_items")
    if stack.freezes:
        yield "freeze"
    if settings.max_share is not None:
        yield "max_share"
    if settings.block_on:
        yield "blocked_by_alert"
    if name in REMEDIATIONS:
        yield from sorted(REMEDIATIONS[name].refused_by)


def _deferrals(settings: RemediationSettings) -> Iterator[str]:
    yield from ("cooldown", "rate", "concurrency")
    if settings.min_firing:
        yield "min_firing"
    if settings.only_in is not None:
        yield "window"
    if settings.block_on:
        yield "alertmanager_unreadable"
