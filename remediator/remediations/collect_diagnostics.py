"""Reads what people want to see of a stack before they touch it. Changes nothing.

Sources: PMCRM runbook, "Common Incidents > Slow Queries" (statements, locks); ClientForge runbook, P0 step 2; Life
Platform runbook, P1 investigation. The remediator attaches the same to every escalation, whatever its remediation.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from remediator.diagnostics.bundle import PART_SECONDS, parts_of, read_part
from remediator.diagnostics.masking import mask_text
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Item, ItemState, Outcome, Plan, Remediation, Scope, Target, Verdict

MAX_PARTS = 20
MAX_DETAIL = 16_000


@dataclass(frozen=True)
class _Parts:
    """The hands of this remediation on one stack."""

    scope: Scope

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=PART_SECONDS + 5)

    async def plan(self) -> Plan:
        parts = self._parts()
        items = tuple(Item({"part": name}) for name in parts)
        return Plan(items, len(items), because="" if items else "nothing_readable")

    async def apply(self, items: Sequence[Item]) -> Sequence[Outcome]:
        return [await self._read(str(item.identity["part"])) for item in items]

    async def settle(self, items: Sequence[Item]) -> Sequence[Outcome]:
        return [Outcome(ItemState.NOT_APPLIED, "was not read; reading changes nothing")] * len(items)

    async def look_again(self, applied: Sequence[Item]) -> Verdict:
        """There is nothing to prove but that it has been read."""
        return Verdict(clean=True, evidence={"read": len(applied)})

    async def _read(self, name: str) -> Outcome:
        part = self._parts().get(name)
        if part is None:
            return Outcome(ItemState.SKIPPED, "is not in the inventory any more")
        try:
            found = await read_part(replace(self.scope, target=part))
        except TargetUnreachable as error:
            return Outcome(ItemState.SKIPPED, mask_text(str(error)))
        text = json.dumps(found, ensure_ascii=False, default=str)
        return Outcome(ItemState.APPLIED, text if len(text) <= MAX_DETAIL else f"{text[:MAX_DETAIL]}…")

    def _parts(self) -> dict[str, Target]:
        return {str(part): part for part in parts_of(self.scope.target.stack, self.scope.stack, "")}


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_Parts]:
    yield _Parts(scope)


REMEDIATION = Remediation(
    name="collect_diagnostics",
    kind="stack",
    keys=frozenset(),
    max_items=MAX_PARTS,
    one_effect=False,
    open=_open,
)
