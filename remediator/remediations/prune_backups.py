"""Deletes backups that are older than the retention, after a yes, and never the newest verified ones.

Sources: Formula PM, "Weekly Tasks" (30 days); Life Platform, "Backup Strategy"; DeelRx, "Backup Procedures". The trap:
a deletion by age alone also deletes the last good backup, once nobody makes new ones.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.clients.backup_access import backups_target, open_backups
from remediator.clients.backup_store import BackupFolder, BackupObject
from remediator.clients.object_store import describe, translate_errors
from remediator.clients.upload import STORAGE_ERRORS
from remediator.model.act_words import ActWords
from remediator.model.errors import TargetUnreachable
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import (
    EffectOutcome,
    Item,
    ItemState,
    Needs,
    PermanentFix,
    Plan,
    Remediation,
    Scope,
    Undo,
    Verdict,
)
from remediator.remediations.backup_proof import identity_of, is_unchanged
from runbookd.inventory import ProofKind, Retention, marker_name

PLAN_SECONDS = 8.0
EFFECT_SECONDS = 60.0
READ_AT_ONCE = 8  # markers
TOO_FEW_VERIFIED, NONE_RECENT = "too_few_verified", "no_recent_verified"


@dataclass(frozen=True)
class _PruneSession:
    """A session of this remediation on one folder of backups."""

    scope: Scope
    retention: Retention
    folder: BackupFolder

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=EFFECT_SECONDS)

    async def plan(self) -> Plan:
        now = datetime.now(UTC)
        with translate_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                backups = await self.folder.list_all(now)
                old = [each for each in backups if now - each.at > self.retention.span]
                kept = await self._newest_verified(backups) if old else []
        evidence = {"backups": len(backups), "older": len(old), "kept": [each.name for each in kept]}
        if reason := self._reason_against(kept, now) if old else "":
            return Plan((), 0, evidence=evidence, empty_reason=reason)
        items = [_item(each, kept, now) for each in reversed(old) if each not in kept]
        bytes_in_all = sum(int(item.identity["size"] or 0) for item in items)
        return Plan(tuple(items), len(items), len(backups), {**evidence, "bytes": bytes_in_all})

    async def _newest_verified(self, backups: Sequence[BackupObject]) -> list[BackupObject]:
        """Return the newest backups that are proven, as many as have to stay; a restore proves one, too."""
        found: list[BackupObject] = []
        for at in range(0, len(backups), READ_AT_ONCE):
            group = backups[at : at + READ_AT_ONCE]
            proofs = await asyncio.gather(*(self._is_verified(each) for each in group))
            found += [backup for backup, is_verified in zip(group, proofs, strict=True) if is_verified]
            if len(found) >= self.retention.keep:
                break
        return found[: self.retention.keep]

    async def _is_verified(self, backup: BackupObject) -> bool:
        markers = [await self.folder.read_marker(backup, proof) for proof in ProofKind]
        present = [marker for marker in markers if marker is not None]
        return any(marker.proves for marker in present) and all(marker.ok for marker in present)

    def _reason_against(self, kept: Sequence[BackupObject], now: datetime) -> str:
        """Return why nothing may go: no backup is spare while too few are proven, or none is recent."""
        if len(kept) < self.retention.keep:
            return TOO_FEW_VERIFIED
        return "" if now - kept[0].at <= self.retention.span else NONE_RECENT

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._delete(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        with translate_errors(self.scope):
            return [await self._outcome_of(item) for item in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if what was deleted is gone, and each backup that has to stay is there."""
        wrong = []
        with translate_errors(self.scope):
            for item in items:
                wrong += await self._lost(item)
                if await self.folder.get(_name(item)) is not None:
                    wrong.append(f"{_name(item)} is still there")
        return Verdict(not wrong, {"wrong": sorted(set(wrong))})

    async def _delete(self, item: Item) -> EffectOutcome:
        """Delete one backup, if it and those that have to stay are still as they were in the plan."""
        name = _name(item)
        with translate_errors(self.scope):
            if reason := await self._reason_to_skip(item):
                return EffectOutcome(ItemState.SKIPPED, reason)
            try:
                await self.folder.remove(name)
            except STORAGE_ERRORS as error:
                gone = await self.folder.get(name) is None
                state = ItemState.APPLIED if gone else ItemState.FAILED
                return EffectOutcome(state, f"{name}: {describe(error)}")
            note = await self._remove_marker(name)
        return EffectOutcome(ItemState.APPLIED, f"{name}, {item.identity['size']} bytes, is deleted{note}")

    async def _reason_to_skip(self, item: Item) -> str:
        backup, now = await self.folder.get(_name(item)), datetime.now(UTC)
        if backup is None or not is_unchanged(backup, item):
            return f"{_name(item)} has changed or is gone since the plan"
        if now - backup.at <= self.retention.span:
            return f"{_name(item)} is younger than the retention of now"
        kept = item.evidence.get("kept", ())
        if len(kept) < self.retention.keep:
            return f"the retention of now keeps {self.retention.keep} verified backups, the plan only {len(kept)}"
        lost = await self._lost(item)
        return f"{lost[0]}, so nothing is spare" if lost else ""

    async def _lost(self, item: Item) -> list[str]:
        """Return what is wrong with the backups that have to stay."""
        found = await asyncio.gather(*(self._loss(fingerprint) for fingerprint in item.evidence.get("kept", ())))
        return [each for each in found if each]

    async def _loss(self, fingerprint: Sequence[Any]) -> str:
        backup = await self.folder.get(str(fingerprint[0]))
        if backup is None or backup.fingerprint != list(fingerprint):
            return f"{fingerprint[0]}, which has to stay, has changed or is gone"
        return "" if await self._is_verified(backup) else f"{backup.name}, which has to stay, is no longer verified"

    async def _remove_marker(self, name: str) -> str:
        """Remove what proved that it was whole; that it could be restored stays true."""
        try:
            if await self.folder.size(marker := marker_name(name, ProofKind.VERIFIED)) is not None:
                await self.folder.remove(marker)
        except STORAGE_ERRORS as error:
            return f"; its marker is left: {describe(error)}"
        return ""

    async def _outcome_of(self, item: Item) -> EffectOutcome:
        backup = await self.folder.get(_name(item))
        if backup is None:
            return EffectOutcome(ItemState.APPLIED, f"{_name(item)} is gone")
        if is_unchanged(backup, item):
            return EffectOutcome(ItemState.NOT_APPLIED, f"{_name(item)} is still there")
        return EffectOutcome(ItemState.UNKNOWN, f"{_name(item)} is another object than in the plan")


def _name(item: Item) -> str:
    return str(item.identity["object"])


def _item(backup: BackupObject, kept: Sequence[BackupObject], now: datetime) -> Item:
    evidence = {"age_days": (now - backup.at).days, "kept": [each.fingerprint for each in kept]}
    return Item(identity_of(backup), evidence)


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_PruneSession]:
    retention = backups_target(scope).retention
    if retention is None:
        key = f"stacks.{scope.target.stack}.backups.{scope.target.name}.retention"
        raise TargetUnreachable(f"{scope.target}: the inventory does not say how long backups stay; add {key}")
    yield _PruneSession(scope, retention, open_backups(scope, timedelta(seconds=EFFECT_SECONDS)))


def _write_fix(_scope: Scope, _causes: Sequence[Cause]) -> Fix:
    return Fix(
        "Let the tool that makes the backups delete the old ones: repo1-retention-full of pgBackRest, delete retain of"
        " WAL-G, retention_policy of Barman, forget of restic. A lifecycle rule of the bucket is no fix: it also"
        " deletes the last good backup when no new one arrives."
    )


REMEDIATION = Remediation(
    name="prune_backups",
    kind="backups",
    keys=frozenset({"batch"}),
    max_items=100,
    one_effect=False,
    open=_open,
    undo=Undo("none", "A deleted backup is gone; only a bucket with versions still has it."),
    permanent_fix=PermanentFix(_write_fix),
    never_auto=True,
    words=ActWords("Delete", "deleted", "old backup", "old backups"),
    needs=Needs(lambda stack, name: stack.backups[name].retention is not None, "retention"),
)
