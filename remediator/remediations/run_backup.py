"""Makes a missing backup: a dump that is verified before and after it is stored.

Source: the PMCRM runbook, "Daily Operations > Backup Verification" (older than 24 hours), and "Create Backup" of the
Life Platform and Formula PM runbooks. Their traps: a dump that fails in a pipe leaves a valid small archive, a dump cut
before compression passes `gunzip -t`, and an object's time tells when it was copied, not when it was made.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from remediator.clients.age import encrypt_file
from remediator.clients.backup_access import identities_of, open_backups
from remediator.clients.backup_layers import decrypted
from remediator.clients.backup_reading import completed_checks, read_backup, read_file
from remediator.clients.backup_store import BackupFolder, BackupObject
from remediator.clients.child_process import ProcessResult, run_command
from remediator.clients.libpq_env import LibpqConnection, libpq_connection
from remediator.clients.object_store import describe, translate_errors
from remediator.clients.scratch_dir import scratch_dir
from remediator.clients.upload import STORAGE_ERRORS, Answer, meaning_of, read_digest, upload
from remediator.masking import mask_secrets
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
from runbookd.addresses import AddressError
from runbookd.inventory import BackupTarget, Check, DumpSource, Marker, ProofKind, SecretError, format_duration

OLDER_THAN = timedelta(hours=24)
PLAN_SECONDS = 8.0
TERMINATION_GRACE = timedelta(seconds=30)  # to end a command that took too long, and to report it
PROTECTED_BACKUPS = 7  # the newest older backups, which must still exist afterwards
FILES_CHANGED = 1  # tar's exit status for files that were written while it read them
FILES_CHECKS = frozenset({Check.CHECKSUM, Check.DECOMPRESSION, Check.END})
SPACE_FACTOR = 1.2  # free space that the new backup needs, as a multiple of the newest one's size


class _DumpFailed(Exception):
    """The dump could not be made or is not readable; nothing was stored."""


@dataclass(frozen=True)
class _BackupSession:
    """A session of this remediation on one folder of backups."""

    scope: Scope
    dump: DumpSource
    connection: LibpqConnection
    identities: Sequence[Any] = ()

    @property
    def target(self) -> BackupTarget:
        """The backups."""
        return self.scope.stack.backups[self.scope.target.name]

    @property
    def effect_timeout(self) -> timedelta:
        return self.dump.timeout + TERMINATION_GRACE

    @property
    def folder(self) -> BackupFolder:
        """The folder, opened with the credentials of now: a dump takes hours, a token may live one."""
        return open_backups(self.scope, self.dump.timeout)

    async def plan(self) -> Plan:
        now = datetime.now(UTC)
        with translate_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                backups = await self.folder.list_newest(now)
                evidence = {"newest": _newest(backups, now)}
                if self._is_fresh(backups, now) and self.scope.trigger == "alert":  # an operator wants one more
                    return Plan((), 0, evidence=evidence)
                name = await self._free_name(now)
        identity = {"object": name, "newest": backups[0].name if backups else None}
        protected_backups = [backup.fingerprint for backup in backups[:PROTECTED_BACKUPS]]
        return Plan((Item(identity, {**evidence, "kept": protected_backups}),), 1, evidence=evidence)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._back_up(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        with translate_errors(self.scope):
            return [await self._outcome_of(str(item.identity["object"])) for item in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession.

        Clean if the newest backup is recent, the new one is readable and no older one is lost.
        """
        now = datetime.now(UTC)
        with translate_errors(self.scope):
            backups = await self.folder.list_newest(now)
            problems = [reason for item in items for reason in await self._problems(item, backups)]
        return Verdict(
            self._is_fresh(backups, now) and not problems, {"newest": _newest(backups, now), "wrong": problems}
        )

    def _is_fresh(self, backups: Sequence[BackupObject], now: datetime) -> bool:
        return bool(backups) and now - backups[0].at <= self._older_than

    def _would_be_fresh(self, name: str, now: datetime) -> bool:
        """Return whether a new backup would count as recent.

        The name holds the time of the plan.
        """
        at = self.folder.names.date_of(name)
        return at is not None and now - at <= self._older_than

    @property
    def _older_than(self) -> timedelta:
        return self.scope.settings.older_than or OLDER_THAN

    async def _free_name(self, now: datetime) -> str:
        name = self.folder.names.name_at(now)
        if not self._would_be_fresh(name, now):
            raise TargetUnreachable(
                f"{self.scope.target}: a new backup, {name}, would count as old at once; add the time of day to the"
                " pattern"
            )
        if await self.folder.size(name) is not None:
            raise TargetUnreachable(
                f"{self.scope.target}: {name}, the name of a new backup, is taken by a backup, or by an object that is"
                " empty or counts as old; move that object away, or add the time of day to the pattern"
            )
        return name

    async def _back_up(self, item: Item) -> EffectOutcome:
        deadline = asyncio.get_running_loop().time() + self.dump.timeout.total_seconds()
        now = datetime.now(UTC)
        with translate_errors(self.scope):
            backups = await self.folder.list_newest(now)
        if not self._would_be_fresh(str(item.identity["object"]), now):
            return EffectOutcome(ItemState.SKIPPED, "was planned too long ago: it would count as old under its name")
        if (backups[0].name if backups else None) != item.identity["newest"]:
            return EffectOutcome(ItemState.SKIPPED, "the newest backup has changed since it was planned")
        with scratch_dir() as folder:
            file = folder / "dump"
            try:
                _require_space(folder, backups, copies=2 if self.recipients else 1)
                await self._dump(file, deadline)
                file = await self._encrypt(file)
            except _DumpFailed as error:
                return EffectOutcome(ItemState.FAILED, str(error))
            with translate_errors(self.scope):
                async with asyncio.timeout_at(deadline):
                    return await self._store(str(item.identity["object"]), file)

    async def _dump(self, file: Path, deadline: float) -> None:
        """Write the dump to `file` and check it, before anything is stored."""
        try:
            async with asyncio.timeout_at(deadline):
                with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
                    await self._run_or_raise(self.dump.argv, self.connection.environment(file.parent), stdout=output)
                if _size(file) == 0:
                    raise _DumpFailed(f"{self.dump.argv[0]} wrote nothing to its standard output")
                await self._check_dump(file)
        except TimeoutError:
            limit = format_duration(self.dump.timeout)
            raise _DumpFailed(f"making and checking the dump took over {limit}; raise dump.timeout") from None

    async def _check_dump(self, file: Path) -> None:
        if self.dump.files is None:
            with file.open("rb") as dump:
                await self._run_or_raise(self.dump.check, {}, stdin=dump)
            return
        try:
            await read_backup(read_file(file), ())
        except BackupUnreadable as error:
            raise _DumpFailed(f"the archive of {self.dump.files} is unusable: {error}") from None

    async def _encrypt(self, file: Path) -> Path:
        """Return the file to store: encrypted, if the inventory names recipients. The plain one is removed."""
        if not self.recipients:
            return file
        encrypted = file.with_name("dump.age")
        await asyncio.to_thread(encrypt_file, file, encrypted, self.recipients)
        await asyncio.to_thread(file.unlink)
        return encrypted

    @property
    def recipients(self) -> Sequence[str]:
        """The public keys that new backups are encrypted for."""
        return self.target.encrypt.recipients if self.target.encrypt is not None else ()

    async def _run_or_raise(self, command: Sequence[str], libpq_variables: Mapping[str, str], **streams: Any) -> None:
        result = await self._run(command, libpq_variables, **streams)
        if not result.ok and not (self.dump.files is not None and result.status == FILES_CHANGED):
            raise _DumpFailed(f"{command[0]} {result}")

    async def _run(self, command: Sequence[str], libpq_variables: Mapping[str, str], **streams: Any) -> ProcessResult:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **libpq_variables}
        try:
            result = await run_command(command, environment, **streams)
        except OSError as error:
            raise _DumpFailed(f"cannot start {command[0]}: {error.strerror}; install it, or put it on PATH") from None
        return replace(result, error_line=mask_secrets(result.error_line, self.connection.password))

    async def _store(self, name: str, file: Path) -> EffectOutcome:
        """Store `file` under an unused name, and compare the stored content."""
        size, digest = _size(file), await asyncio.to_thread(_digest, file)
        try:
            note = await upload(lambda: self.folder, name, file, size)
        except STORAGE_ERRORS as error:
            return await self._outcome_of_failed_store(name, digest, error)
        if (damage := await self._damage(name, digest)) is not None:
            return damage
        marker_detail = await self._write_marker(name, digest)
        detail = f"{name}{', encrypted' if self.recipients else ''}, {size} bytes, sha256 {digest}; {marker_detail}"
        return EffectOutcome(ItemState.APPLIED, f"{detail}; {note}" if note else detail)

    async def _damage(self, name: str, digest: str) -> EffectOutcome | None:
        """Return None if the object reads back as it was sent.

        A difference counts only if a second reading shows the same one: an answer may have been cut.
        """
        first = await read_digest(lambda: self.folder, name)
        second = first if first == digest else await read_digest(lambda: self.folder, name)
        if second == digest:
            return None
        if first is None or first != second:
            return EffectOutcome(
                ItemState.UNKNOWN, f"{name} was stored, but each reading shows another content; check it"
            )
        return await self._remove_damaged(name)

    async def _write_marker(self, name: str, digest: str) -> str:
        """Write the marker and return a note; the backup is valid without it."""
        try:
            backup = await self.folder.get(name)
            if backup is None:
                return "the backup is already gone, so it has no marker"
            checks, note = await self._proven_checks(name)
            await self.folder.write_marker(
                Marker(
                    proof=ProofKind.VERIFIED,
                    backup=name,
                    size=backup.size,
                    etag=backup.etag,
                    sha256=digest,
                    at=datetime.now(UTC).replace(microsecond=0),
                    checks=checks,
                    encryption=self.target.encrypt.words if self.target.encrypt is not None else None,
                    run=self.scope.run,
                )
            )
        except STORAGE_ERRORS as error:
            return f"cannot write its marker: {describe(error)}"
        return f"its marker is written{note}"

    async def _proven_checks(self, name: str) -> tuple[frozenset[Check], str]:
        """Return what was proven of the stored backup, and a note.

        The dump was read before it was encrypted; only its decrypted content shows that it can be restored.
        """
        everything = FILES_CHECKS if self.dump.files is not None else completed_checks(self.dump.check)
        if not self.recipients:
            return everything, ""
        if not self.identities:
            return frozenset({Check.CHECKSUM}), "; without decrypt it proves only the checksum"
        try:
            reason = await self._decrypted_error(name)
        except BackupLocked as error:
            reason = str(error)
        return (everything, "") if reason is None else (frozenset({Check.CHECKSUM}), f"; only the checksum: {reason}")

    async def _outcome_of_failed_store(self, name: str, digest: str, error: Exception) -> EffectOutcome:
        """Tell a refusal from a lost answer.

        After a lost answer, the retried request meets the object of the first one.
        """
        stored_digest = await read_digest(lambda: self.folder, name)
        if stored_digest == digest:
            marker_detail = await self._write_marker(name, digest)
            return EffectOutcome(
                ItemState.APPLIED, f"{name}, sha256 {digest}; the storage's first answer was lost; {marker_detail}"
            )
        if meaning_of(error) is Answer.EXISTS:
            return EffectOutcome(ItemState.FAILED, f"{name} was created by another process since; it was not touched")
        state = ItemState.FAILED if stored_digest is None else ItemState.UNKNOWN
        return EffectOutcome(state, f"{name} was not stored: {describe(error)}")

    async def _remove_damaged(self, name: str) -> EffectOutcome:
        """Remove the new object, whose content is damaged: it must not look like a backup."""
        try:
            await self.folder.remove(name)
        except STORAGE_ERRORS as error:
            return EffectOutcome(
                ItemState.UNKNOWN, f"{name} is damaged and cannot be removed ({describe(error)}); remove it"
            )
        return EffectOutcome(
            ItemState.FAILED, f"{name} was damaged by the storage: it read back differently, and was removed"
        )

    async def _outcome_of(self, name: str) -> EffectOutcome:
        size = await self.folder.size(name)
        if size is None:
            return EffectOutcome(ItemState.NOT_APPLIED, f"{name} does not exist")
        reason = await self._read_error(name, size)
        if reason is None:
            return EffectOutcome(ItemState.APPLIED, f"{name} exists and is readable")
        return EffectOutcome(ItemState.UNKNOWN, reason)

    async def _problems(self, item: Item, backups: Sequence[BackupObject]) -> list[str]:
        name, backups_by_name = str(item.identity["object"]), {backup.name: backup for backup in backups}
        reason = (
            f"{name} does not exist"
            if name not in backups_by_name
            else await self._read_error(name, backups_by_name[name].size)
        )
        lost_backups = [
            f"{fingerprint[0]} has changed or is gone"
            for fingerprint in item.evidence.get("kept", [])
            if (backup := backups_by_name.get(fingerprint[0]) or await self.folder.get(fingerprint[0])) is None
            or backup.fingerprint != list(fingerprint)
        ]
        return ([reason] if reason else []) + lost_backups

    async def _read_error(self, name: str, size: int) -> str | None:
        """Read the stored backup completely; return why it is unusable, or None."""
        if size == 0:
            return f"{name} is empty"
        try:
            return await self._decrypted_error(name)
        except BackupLocked:
            return await self._checksum_error(name)

    async def _decrypted_error(self, name: str) -> str | None:
        """Return why the decrypted content does not pass the check, or None."""
        try:
            content = await decrypted(self.folder.stream(name), self.identities)
            if self.dump.files is not None:
                await read_backup(content, ())
                return None
            result = await self._run(self.dump.check, {}, stdin=content)
        except BackupLocked:
            raise
        except BackupUnreadable as error:
            return f"{name} is not readable: {error}"
        except _DumpFailed as error:
            raise TargetUnreachable(f"{self.scope.target}: {error}") from None
        return None if result.ok else f"{name} is not readable: {self.dump.check[0]} {result}"

    async def _checksum_error(self, name: str) -> str | None:
        """Compare an encrypted backup with its marker, if nothing can decrypt it."""
        backup = await self.folder.get(name)
        marker = await self.folder.read_marker(backup, ProofKind.VERIFIED) if backup is not None else None
        if marker is None or marker.sha256 is None:
            return f"{name} is encrypted and has no marker, so nothing is proven; set decrypt"
        is_equal = await read_digest(lambda: self.folder, name) == marker.sha256
        return None if is_equal else f"{name} has another checksum than its marker"


def _require_space(folder: Path, backups: Sequence[BackupObject], copies: int) -> None:
    free, needed = shutil.disk_usage(folder).free, int(SPACE_FACTOR * copies * backups[0].size) if backups else 0
    if free < needed:
        raise _DumpFailed(f"{folder} has {free} bytes free, and the dump may need {needed}; point TMPDIR to more space")


def _size(file: Path) -> int:
    return file.stat().st_size


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _newest(backups: Sequence[BackupObject], now: datetime) -> dict[str, Any] | None:
    """Return {name, age_seconds, size} of the newest backup."""
    if not backups:
        return None
    newest = backups[0]
    return {"name": newest.name, "age_seconds": round((now - newest.at).total_seconds()), "size": newest.size}


def _connection_of(scope: Scope, dump: DumpSource) -> LibpqConnection:
    """Return the connection to the database, if the command needs one."""
    secret = dump.dsn_secret()
    if not secret.configured:
        return LibpqConnection()
    try:
        return libpq_connection(secret.key, secret.read())
    except SecretError as error:
        raise TargetUnreachable(f"{scope.target}: {error}") from None
    except AddressError as error:
        raise TargetUnreachable(f"{scope.target}: {secret.key}: {error}") from None


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_BackupSession]:
    target = scope.stack.backups[scope.target.name]
    if target.dump is None:
        raise TargetUnreachable(
            f"{scope.target}: the inventory has no command that makes this backup;"
            f" add stacks.{scope.target.stack}.backups.{scope.target.name}.dump"
        )
    yield _BackupSession(scope, target.dump, _connection_of(scope, target.dump), identities_of(scope))


def _write_fix(scope: Scope, _causes: Sequence[Cause]) -> Fix:
    """Let a timer make the backup, twice in the time after which it is missing."""
    interval = max((scope.settings.older_than or OLDER_THAN) / 2, timedelta(minutes=1))
    return Fix(
        "The schedule that makes this backup does not run, or fails: read its log first. A timer of systemd makes up"
        " for a missed time and shows failures in systemctl --failed; let it start the service that makes the backup.",
        "[Timer]\n"
        "OnBootSec=10min\n"
        f"OnUnitActiveSec={int(interval.total_seconds())}s\n"
        "\n[Install]\n"
        "WantedBy=timers.target",
        "ini",
    )


REMEDIATION = Remediation(
    name="run_backup",
    kind="backups",
    keys=frozenset({"older_than"}),
    max_items=1,
    one_effect=True,
    open=_open,
    undo=Undo("none", "It only adds a backup; remove that backup by hand if it is not wanted."),
    permanent_fix=PermanentFix(_write_fix),
    only_adds=True,
    past_size=ONE_ITEM,
    words=ActWords("Make a backup of {}", "Made a backup of {}"),
    needs=Needs(lambda stack, name: stack.backups[name].dump is not None, "dump"),
)
