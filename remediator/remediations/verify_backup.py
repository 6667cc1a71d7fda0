"""Verifies the newest backup, whatever made it: reads all of it, and writes the marker.

Sources: ClientForge, "Restore Testing" (verify only); Formula PM, "Backup Procedures" (`gunzip -t`); Life Platform,
"Weekly Tasks". Their trap: half a dump that was compressed afterwards unpacks without an error, and so does an empty
one.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.clients.backup_access import (
    archive_reader,
    backups_target,
    identities_of,
    open_backups,
    reading_timeout,
)
from remediator.clients.backup_checksum import known_checksums
from remediator.clients.backup_layers import decrypted
from remediator.clients.backup_reading import BackupReading, completed_checks, read_backup, run_reader
from remediator.clients.backup_store import BackupFolder, BackupObject
from remediator.clients.object_store import describe, translate_errors
from remediator.clients.upload import STORAGE_ERRORS
from remediator.model.act_words import ActWords
from remediator.model.errors import BackupLocked, BackupUnreadable, TargetUnreachable
from remediator.model.permanent_fix import Cause, Fix
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
    Verdict,
)
from remediator.remediations.backup_proof import KNOWN_BAD, NO_BACKUP, RunProof, identity_of, is_unchanged
from runbookd.inventory import BackupTarget, Check, Marker, ProofKind, format_duration, given_keys

OLDER_THAN = timedelta(hours=24)
PLAN_SECONDS = 8.0
MARKER_GRACE = timedelta(seconds=30)


@dataclass(frozen=True)
class _VerifySession:
    """A session of this remediation on one folder of backups."""

    scope: Scope
    target: BackupTarget
    identities: Sequence[Any]

    @property
    def effect_timeout(self) -> timedelta:
        return reading_timeout(self.target) + MARKER_GRACE

    @property
    def proof(self) -> RunProof:
        """The markers of this run."""
        return RunProof(self.scope.run, ProofKind.VERIFIED, lambda: self.folder)

    @property
    def folder(self) -> BackupFolder:
        return open_backups(self.scope, reading_timeout(self.target))

    async def plan(self) -> Plan:
        now = datetime.now(UTC)
        with translate_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                backups = await self.folder.list_newest(now)
                marker = await self.folder.read_marker(backups[0], ProofKind.VERIFIED) if backups else None
        if not backups:
            return Plan((), 0, empty_reason=NO_BACKUP)
        newest, evidence = backups[0], _evidence(backups[0], marker, now)
        if self.scope.trigger == "alert" and marker is not None and self._is_recent(marker, now):
            return Plan((), 0, evidence=evidence, empty_reason="" if marker.ok else KNOWN_BAD)
        return Plan((Item(identity_of(newest), evidence),), 1, evidence=evidence)

    def _is_recent(self, marker: Marker, now: datetime) -> bool:
        """Return whether the backup was read not long ago, whatever that has shown."""
        older_than = self.scope.settings.older_than or OLDER_THAN
        return now - marker.at <= older_than and (marker.proves or not marker.ok)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._verify(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        with translate_errors(self.scope):
            return [await self.proof.outcome(item) for item in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if the marker of each backup proves that it is whole."""
        wrong = []
        with translate_errors(self.scope):
            for item in items:
                marker = await self.proof.read(item)
                if marker is None or not marker.ok or not marker.proves:
                    wrong.append(f"{item.identity['object']}: {_shortcoming(marker)}")
        return Verdict(not wrong, {"wrong": wrong})

    async def _verify(self, item: Item) -> EffectOutcome:
        name = str(item.identity["object"])
        with translate_errors(self.scope):
            backup = await self.folder.get(name)
        if backup is None or not is_unchanged(backup, item):
            return EffectOutcome(ItemState.SKIPPED, f"{name} has changed or is gone since the plan")
        try:
            async with asyncio.timeout(reading_timeout(self.target).total_seconds()):
                return await self._read_and_mark(backup)
        except TimeoutError:
            limit = format_duration(reading_timeout(self.target))
            return EffectOutcome(ItemState.FAILED, f"reading {name} took over {limit}; raise dump.timeout")
        except STORAGE_ERRORS as error:
            return EffectOutcome(ItemState.FAILED, f"{name} cannot be read: {describe(error)}")

    async def _read_and_mark(self, backup: BackupObject) -> EffectOutcome:
        try:
            reading = await self._read_surely(backup)
            checks = reading.checks | await self._compare(backup, reading)
            if Check.END not in checks and not reading.is_locked:
                checks |= await self._check_by_inventory(backup)
        except BackupLocked as error:
            return EffectOutcome(ItemState.FAILED, f"{backup.name} cannot be read: {error}")
        except BackupUnreadable as error:
            detail = f"{backup.name} is unusable: {error}"
            return EffectOutcome(ItemState.FAILED, f"{detail}; {await self._write_bad(backup, str(error))}")
        except TargetUnreachable as error:
            return EffectOutcome(ItemState.FAILED, f"{backup.name} was not read: {error}")
        if not checks:
            return EffectOutcome(ItemState.FAILED, f"{backup.name}: {_nothing_proven(reading)}")
        encryption = self._encryption(reading)
        note = await self.proof.write(
            self.proof.marker(backup, sha256=reading.sha256, checks=checks, encryption=encryption)
        )
        limits = f"; {_nothing_proven(reading)}" if Check.END not in checks else ""
        return EffectOutcome(
            ItemState.APPLIED,
            f"{backup.name}: {reading.content}, {reading.size} bytes, sha256 {reading.sha256};"
            f" proven: {', '.join(sorted(checks))}{limits}; {note}",
        )

    async def _read_surely(self, backup: BackupObject) -> BackupReading:
        """Read it again if it looks damaged: an answer may have been cut on its way.

        Raises:
            BackupUnreadable: it is damaged, and the storage returns all of it.
        """
        try:
            return await self._read(backup)
        except BackupLocked:
            raise
        except BackupUnreadable:
            await self._require_whole_answer(backup)
        return await self._read(backup)

    async def _require_whole_answer(self, backup: BackupObject) -> None:
        received = 0
        async for chunk in self.folder.stream(backup.name):
            received += len(chunk)
        if received != backup.size:
            raise TargetUnreachable(f"the storage returned {received} of {backup.size} bytes; try again")

    async def _read(self, backup: BackupObject) -> BackupReading:
        reader = archive_reader(self.target)
        reading = await read_backup(self.folder.stream(backup.name), self.identities, reader)
        if reading.size != backup.size:
            raise TargetUnreachable(f"the storage returned {reading.size} of {backup.size} bytes; try again")
        return reading

    async def _compare(self, backup: BackupObject, reading: BackupReading) -> frozenset[Check]:
        """Compare with the checksums that were stored with the backup.

        Raises:
            BackupUnreadable: one differs.
        """
        known = await known_checksums(self.folder, backup)
        for each in known:
            if each.sha256 != reading.sha256:
                raise BackupUnreadable(f"its SHA-256 is {reading.sha256}, and {each.source} states {each.sha256}")
        return frozenset({Check.CHECKSUM}) if any(each.is_original for each in known) else frozenset()

    async def _check_by_inventory(self, backup: BackupObject) -> frozenset[Check]:
        """Let the check of the inventory read a format of its own.

        Raises:
            BackupUnreadable: it did not pass.
        """
        dump = self.target.dump
        if dump is None or "check" not in given_keys(dump):
            return frozenset()
        content = await decrypted(self.folder.stream(backup.name), self.identities)
        await run_reader(dump.check, content)
        return completed_checks(dump.check) - {Check.CHECKSUM}

    def _encryption(self, reading: BackupReading) -> str | None:
        """Return the encryption that was seen, or that the storage was asked for; None if it is unknown."""
        declared = self.target.encrypt
        if reading.encryption:
            return reading.encryption
        return declared.words if declared is not None and declared.storage is not None else None

    async def _write_bad(self, backup: BackupObject, reason: str) -> str:
        """Write that it is bad, and keep what is known of the original: the next reading is compared with it, too."""
        try:
            earlier = await self.folder.read_marker(backup, ProofKind.VERIFIED)
        except STORAGE_ERRORS as error:
            return f"cannot read its marker: {describe(error)}"
        if earlier is None or Check.CHECKSUM not in earlier.checks:
            return await self.proof.write_bad(backup, reason)
        return await self.proof.write_bad(backup, reason, sha256=earlier.sha256, checks=frozenset({Check.CHECKSUM}))


def _evidence(backup: BackupObject, marker: Marker | None, now: datetime) -> dict[str, Any]:
    return {
        "age_seconds": round((now - backup.at).total_seconds()),
        "size": backup.size,
        "last_verified": marker.at.isoformat() if marker is not None and marker.ok else None,
    }


def _shortcoming(marker: Marker | None) -> str:
    if marker is None:
        return "it has no marker"
    if not marker.ok:
        return marker.reason or "its marker says that it is bad"
    return "only its checksum is proven, so its marker does not count"


def _nothing_proven(reading: BackupReading) -> str:
    if reading.is_locked:
        return "it is encrypted and the inventory has no decrypt, so whether it can be restored is not proven"
    return f"it is {reading.content}, so whether it is whole is not proven"


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_VerifySession]:
    yield _VerifySession(scope, backups_target(scope), identities_of(scope))


def _write_fix(_scope: Scope, _causes: Sequence[Cause]) -> Fix:
    """Advise after more than one a day: each new backup has to be read once."""
    return Fix(
        "Backups are made more often than they are verified. Verify each one where it is made: dump.check of run_backup"
        " writes the marker at once, and so can the job that makes it (docs/reference/backup-markers.md)."
    )


REMEDIATION = Remediation(
    name="verify_backup",
    kind="backups",
    keys=frozenset({"older_than"}),
    max_items=1,
    one_effect=True,
    open=_open,
    undo=Undo("none", "It only reads, and writes a marker beside the backup; remove the marker if it is not wanted."),
    permanent_fix=PermanentFix(_write_fix, after=8),
    only_adds=True,
    past_size=ONE_ITEM,
    words=ActWords("Verify the newest backup of {}", "Verified the newest backup of {}"),
    needs=Needs(lambda stack, name: stack.backups[name].report is None, "url and pattern"),
)
