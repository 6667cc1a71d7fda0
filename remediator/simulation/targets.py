"""The targets of a simulation: numbers or lists of items stand in for servers, and nothing can be reached.

The remediations keep their names, limits and declarations; only the session that would read and touch a server is
another one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from remediator.model.clock import Clock
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import (
    DeclaredBound,
    EffectOutcome,
    Item,
    ItemState,
    Plan,
    Remediation,
    Scope,
    Verdict,
)

MAX_LISTED = 1_000  # items of a plan that only a number stands for
EFFECT_TIMEOUT = timedelta(minutes=1)


@dataclass(frozen=True)
class Reading:
    """The reading of a target.

    `found` items, of which `items` are known one by one. With `error`, the target does not answer. `is_known` is False
    if nothing tells the number, so that no bound can judge it. `evidence` is part of the plan. At most `listed` items
    stand for those that only the number tells of: each is an effect of its own.
    """

    found: int = 0
    items: tuple[Item, ...] = ()
    population: int | None = None
    error: str | None = None
    is_known: bool = True
    evidence: Mapping[str, object] = field(default_factory=dict)
    listed: int = MAX_LISTED

    def plan(self) -> Plan:
        """Return the plan that these items make."""
        unnamed = range(len(self.items), min(self.found, self.listed))
        items = (*self.items, *(Item({"number": number + 1}) for number in unnamed))
        return Plan(items, max(self.found, len(self.items)), self.population, self.evidence)


@dataclass(frozen=True)
class Effect:
    """The effect of a run: the state of each item that it touches, after `seconds`, and whether the proof is clean.

    `states` are those of the items in their order, where they differ. `lookup` is what becomes known of an effect that
    a crash has cut off. `happen` is called once the items are touched.
    """

    state: ItemState = ItemState.APPLIED
    states: Sequence[ItemState] = ()
    seconds: float = 0.0
    is_clean: bool = True
    lookup: ItemState = ItemState.NOT_APPLIED
    detail: str = ""
    happen: Callable[[], None] = lambda: None


class SimulatedTargets(Protocol):
    """The state of all targets of a simulation, and the effects on them."""

    def read(self, remediation: str, target: str, at: datetime) -> Reading:
        """Return what `remediation` would find on `target` at this moment."""

    def effect(self, remediation: str, target: str, items: Sequence[Item], at: datetime) -> Effect:
        """Return what becomes of `items` if a run touches them now."""

    def surroundings(self, stack: str, at: datetime) -> Mapping[DeclaredBound, Sequence[str]]:
        """Return for each bound about the surroundings why it would refuse a run of `stack` now."""


@dataclass(frozen=True)
class _SimulatedSession:
    """A session on a simulated target."""

    scope: Scope
    remediation: str
    targets: SimulatedTargets
    clock: Clock
    effect_timeout: timedelta

    async def plan(self) -> Plan:
        if self.scope.undoes is not None:
            return Plan(tuple(self.scope.undoes), len(self.scope.undoes))
        return self._read().plan()

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        effect = self._effect(items)
        await asyncio.sleep(effect.seconds)
        effect.happen()
        return [EffectOutcome(state, effect.detail) for state in effect.states or [effect.state] * len(items)]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        effect = self._effect(items)
        if effect.lookup is ItemState.APPLIED:
            effect.happen()
        return [EffectOutcome(effect.lookup, "looked up in the simulation")] * len(items)

    async def verify(self, items: Sequence[Item]) -> Verdict:
        self._read()
        return Verdict(self._effect(items).is_clean, {"simulated": True})

    def _read(self) -> Reading:
        reading = self.targets.read(self.remediation, str(self.scope.target), self.clock.now())
        if reading.error is not None:
            raise TargetUnreachable(reading.error)
        return reading

    def _effect(self, items: Sequence[Item]) -> Effect:
        return self.targets.effect(self.remediation, str(self.scope.target), items, self.clock.now())


@asynccontextmanager
async def _open(
    name: str, targets: SimulatedTargets, clock: Clock, effect_timeout: timedelta, scope: Scope
) -> AsyncIterator[_SimulatedSession]:
    session = _SimulatedSession(scope, name, targets, clock, effect_timeout)
    session._read()  # one that does not answer cannot be opened
    yield session


def simulated(
    remediations: Mapping[str, Remediation],
    targets: SimulatedTargets,
    clock: Clock,
    effect_timeout: timedelta = EFFECT_TIMEOUT,
) -> Mapping[str, Remediation]:
    """Return the same remediations with sessions on `targets`, which hold no client."""
    return {
        name: replace(each, open=partial(_open, name, targets, clock, effect_timeout))
        for name, each in remediations.items()
    }
