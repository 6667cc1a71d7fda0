"""Reads the diagnostics that an operator wants before touching a stack. Changes nothing.

Sources: PMCRM runbook, "Common Incidents > Slow Queries" (statements, locks); ClientForge runbook, P0 step 2; Life
Platform runbook, P1 investigation. The remediator attaches the same diagnostics to every escalation. It is also the
answer to alerts of high priority that no remediation repairs: their first message carries the state of the stack.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from remediator.diagnostics.bundle import PART_SECONDS, parts_of
from remediator.diagnostics.recent import read_recently
from remediator.masking import mask_text
from remediator.model.act_words import ActWords
from remediator.model.errors import TargetUnreachable
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import (
    ONE_ITEM,
    EffectOutcome,
    Item,
    ItemState,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    TargetName,
    Undo,
    Verdict,
)

MAX_PARTS = 20
MAX_DETAIL = 16_000


@dataclass(frozen=True)
class _DiagnosticsSession:
    """A session of this remediation on one stack."""

    scope: Scope

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=PART_SECONDS + 5)

    async def plan(self) -> Plan:
        parts = self._parts()
        items = tuple(Item({"part": name}) for name in parts)
        return Plan(items, len(items), empty_reason="" if items else "nothing_readable")

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._read_part(str(item.identity["part"])) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [EffectOutcome(ItemState.NOT_APPLIED, "was not read; reading changes nothing")] * len(items)

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Reading changes nothing, so it is always clean."""
        return Verdict(clean=True, evidence={"read": len(items)})

    async def _read_part(self, name: str) -> EffectOutcome:
        part = self._parts().get(name)
        if part is None:
            return EffectOutcome(ItemState.SKIPPED, "is no longer in the inventory")
        try:
            diagnostics = await read_recently(replace(self.scope, target=part))
        except TargetUnreachable as error:
            return EffectOutcome(ItemState.SKIPPED, mask_text(str(error)))
        text = json.dumps(diagnostics, ensure_ascii=False, default=str)
        return EffectOutcome(ItemState.APPLIED, text if len(text) <= MAX_DETAIL else f"{text[:MAX_DETAIL]}…")

    def _parts(self) -> dict[str, TargetName]:
        return {str(part): part for part in parts_of(self.scope.target.stack, self.scope.stack, "")}


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_DiagnosticsSession]:
    yield _DiagnosticsSession(scope)


def _write_fix(_scope: Scope, _causes: Sequence[Cause]) -> Fix:
    return Fix(
        "The alert comes back, and no remediation answers it: people repair it each time. Write what they do into the"
        " runbook, give it an entry in commands of the inventory, and the alert the label remediation: run_command; or"
        " fix the cause."
    )


REMEDIATION = Remediation(
    name="collect_diagnostics",
    kind="stack",
    keys=frozenset(),
    max_items=MAX_PARTS,
    one_effect=False,
    open=_open,
    undo=Undo("none", "It changes nothing, so there is nothing to undo."),
    permanent_fix=PermanentFix(_write_fix),
    reads_only=True,
    only_adds=True,
    past_size=ONE_ITEM,
    words=ActWords("Read", "read", "part", "parts"),
)
