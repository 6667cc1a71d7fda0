"""Adds one step of instances to a service, and returns to the former number.

Sources: ClientForge, "QueueHighWaitingCount" and "QueueHighLag"; PMCRM, "Scaling Procedures". Their traps: more
instances open more connections, and those with a fixed port collide; so `max` is yours, and the probe has to stay good.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from remediator.clients.services import manager_of
from remediator.clients.services.manager import ManagerRefused, ServiceManager, ServiceState, Status
from remediator.model.act_words import ActWords
from remediator.model.errors import TargetUnreachable
from remediator.model.parameters import EnumParameter
from remediator.model.permanent_fix import Cause, Fix, values_of
from remediator.model.quoting import script_text, shell_word
from remediator.model.remediation import (
    ONE_ITEM,
    EffectOutcome,
    Item,
    ItemState,
    Needs,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    Undo,
    UndoWhen,
    Verdict,
)
from remediator.remediations.service_health import verify_health
from runbookd.inventory import ServiceTarget
from runbookd.inventory.services import Workers

OUTCOME_READINGS = 10
OUTCOME_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class _ScaleSession:
    """A session of this remediation on one service."""

    scope: Scope
    service: ServiceTarget
    workers: Workers
    manager: ServiceManager

    @property
    def effect_timeout(self) -> timedelta:
        return self.service.timeout + self.scope.settings.settle

    async def plan(self) -> Plan:
        state = await self.manager.read()
        count, evidence = state.running, {"instances": state.running, "min": self.workers.min, "max": self.workers.max}
        if state.status is not Status.RUNNING:
            return Plan((), 0, evidence={**evidence, "state": str(state.status)}, empty_reason="not_running")
        wanted = self._wanted(count)
        if wanted == count:
            return Plan((), 0, evidence=evidence, empty_reason=self._reason_to_stay())
        item = Item({"service": self.scope.target.name, "from": count, "to": wanted}, evidence)
        return Plan((item,), 1, evidence=evidence, finds_faults=False)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._scale(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession. The manager may still be at work, so read several times."""
        return [await self._outcome_of(item) for item in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if the wanted number runs, and the service stays healthy."""
        state = await self.manager.read()
        wanted = [_count(item, "to") for item in items]
        wrong = (
            f"{state.running} instances run, not {wanted[0]}" if any(state.running != each for each in wanted) else None
        )
        return await verify_health(self.scope, self.manager, wrong, state)

    def _wanted(self, count: int) -> int:
        """Return the next number: one step, within the limits, and when undoing not below the former number."""
        if self.scope.undoes is not None:
            former = min((_count(item, "from") for item in self.scope.undoes), default=count)
            return count if count <= former else max(former, count - self._undone_step(), self.workers.min)
        down = self.scope.parameters.get("direction") == "down"
        step = -self.workers.step if down else self.workers.step
        target = max(self.workers.min, min(self.workers.max, count + step))
        return target if (target < count) == down else count  # never the other way, whatever the limits say

    def _undone_step(self) -> int:
        return sum(_count(item, "to") - _count(item, "from") for item in self.scope.undoes or ())

    def _reason_to_stay(self) -> str:
        if self.scope.undoes is not None:
            return ""
        return "at_the_minimum" if self.scope.parameters.get("direction") == "down" else "at_the_maximum"

    async def _scale(self, item: Item) -> EffectOutcome:
        state = await self.manager.read()
        if state.running != item.identity["from"] or state.status is not Status.RUNNING:
            return EffectOutcome(ItemState.SKIPPED, f"has {state.running} running instances by now")
        wanted = _count(item, "to")
        try:
            await self.manager.scale(wanted, state)
        except ManagerRefused as error:
            return EffectOutcome(ItemState.FAILED, str(error))
        return EffectOutcome(ItemState.APPLIED, f"scaled from {state.running} to {wanted} instances")

    async def _outcome_of(self, item: Item) -> EffectOutcome:
        for _ in range(OUTCOME_READINGS):
            state = await self.manager.read()
            if state.running == item.identity["to"]:
                return EffectOutcome(ItemState.APPLIED, _running(state))
            await asyncio.sleep(OUTCOME_POLL_SECONDS)
        is_unchanged = state.running == item.identity["from"] and state.status is not Status.CHANGING
        return EffectOutcome(ItemState.NOT_APPLIED if is_unchanged else ItemState.UNKNOWN, _running(state))


def _count(item: Item, key: str) -> int:
    return int(str(item.identity[key]))


def _running(state: ServiceState) -> str:
    return f"{state.running} instances run, the service is {state.status}"


def _undo_when(scope: Scope) -> UndoWhen | None:
    """Return to the former number once the episode is over, if the inventory says so."""
    workers = scope.stack.services[scope.target.name].workers
    return UndoWhen() if workers is not None and workers.scale_back else None


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_ScaleSession]:
    service = scope.stack.services[scope.target.name]
    if service.workers is None:
        raise TargetUnreachable(
            f"{scope.target}: the inventory does not say how many instances it may have;"
            f" add stacks.{scope.target.stack}.services.{scope.target.name}.workers"
        )
    manager = manager_of(scope.target.stack, scope.stack, scope.target.name)
    yield _ScaleSession(scope, service, service.workers, manager)


def _write_fix(scope: Scope, causes: Sequence[Cause]) -> Fix:
    """Let the number to which it was raised most often run at all times."""
    service = scope.stack.services[scope.target.name]
    number = next(iter(values_of(causes, "to")), "")
    advice = "The load is no peak: let this number of instances run always, if the database has connections for it."
    if service.pm2 is not None and number:
        return Fix(advice, f"pm2 scale {shell_word(service.pm2.name)} {number}\npm2 save", "shell")
    if service.docker is not None and number:
        return Fix(advice, f"services:\n  {script_text(service.docker.service or '')}:\n    scale: {number}", "yaml")
    return Fix(f"{advice} Set the number in its manager, and workers.min in the inventory.")


REMEDIATION = Remediation(
    name="scale_workers",
    kind="services",
    keys=frozenset(),
    max_items=1,
    one_effect=True,
    open=_open,
    undo=Undo("exact", "A run of its own returns to the former number; with scale_back when the episode is over."),
    permanent_fix=PermanentFix(_write_fix, names=("to",)),
    parameters={"direction": EnumParameter("up (default) or down, by one step", ("up", "down"))},
    undo_when=_undo_when,
    refused_by=frozenset({"requires", "deploy", "backup_running"}),
    past_size=ONE_ITEM,
    words=ActWords("Change the number of workers of {}", "Changed the number of workers of {}"),
    needs=Needs(lambda stack, name: stack.services[name].workers is not None, "workers"),
)
