"""The steps of a remediation on a real server, each in a session of its own, as the engine takes them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from remediator.model.permanent_fix import Fix
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan, Scope, Verdict
from remediator.remediations import REMEDIATIONS
from remediator.reports.recurring import causes_of

FLUSH = "SELECT pg_stat_force_next_flush()"
"""Last in a session, as otherwise its counts arrive some time after the session has ended."""


class Steps:
    """The steps of one remediation."""

    def __init__(self, name: str) -> None:
        self._remediation = REMEDIATIONS[name]

    @asynccontextmanager
    async def open_session(self, scope: Scope) -> AsyncIterator[Any]:
        async with self._remediation.open(scope) as session:
            yield session

    async def plan_of(self, scope: Scope) -> Plan:
        async with self.open_session(scope) as session:
            plan: Plan = await session.plan()
            return plan

    async def apply(self, scope: Scope, *items: Item) -> list[EffectOutcome]:
        """Apply each item as an effect of its own."""
        async with self.open_session(scope) as session:
            return [outcome for item in items for outcome in await session.apply([item])]

    async def apply_in_words(self, scope: Scope, *items: Item) -> list[tuple[ItemState, str]]:
        return [(outcome.state, outcome.detail) for outcome in await self.apply(scope, *items)]

    async def verify(self, scope: Scope, *items: Item) -> Verdict:
        async with self.open_session(scope) as session:
            verdict: Verdict = await session.verify(items)
            return verdict

    def fix_of(self, scope: Scope, *items: Item) -> Fix:
        """Return the permanent fix for a problem with these items."""
        declared = self._remediation.permanent_fix
        return declared.write(scope, causes_of(declared, items))

    async def resolve_outcome(self, scope: Scope, *items: Item) -> list[ItemState]:
        async with self.open_session(scope) as session:
            return [outcome.state for outcome in await session.resolve_outcome(items)]
