"""Restores the newest backup into a database of its own, compares it with the product, and drops it again.

Sources: Life Platform, "Test Recovery Procedure"; ClientForge, "Monthly Maintenance"; DeelRx, "Backup Procedures". The
traps: a dump is a program, and plain SQL can start a shell; the scratch database stays behind; a restore on the
product's server fills its disk; and errors scroll by while the exit status is 0.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from remediator.clients.backup_access import backups_target, identities_of, open_backups
from remediator.clients.backup_layers import peel
from remediator.clients.backup_reading import read_backup, read_file, write_file
from remediator.clients.backup_store import BackupFolder, BackupObject
from remediator.clients.drill_facts import RestoredFacts, read_restored, shortfalls
from remediator.clients.drill_source import DrillSource, read_source
from remediator.clients.libpq_env import libpq_connection
from remediator.clients.object_store import describe, translate_errors
from remediator.clients.postgres import translate_errors as translate_postgres_errors
from remediator.clients.restoring import RestoreFailed, ScratchTarget, restore
from remediator.clients.scratch_database import (
    ScratchServer,
    open_scratch_server,
    require_other_server,
    scratch_database,
    scratch_name,
)
from remediator.clients.scratch_dir import scratch_dir
from remediator.clients.upload import STORAGE_ERRORS
from remediator.model.act_words import ActWords
from remediator.model.errors import BackupLocked, BackupUnreadable, RunRefused, TargetUnreachable
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
from runbookd.inventory import BackupTarget, Drill, ProofKind, format_duration

OLDER_THAN = timedelta(hours=24)
PLAN_SECONDS = 8.0
CLEANUP = timedelta(minutes=2)
WATCH_SECONDS = 1.0
SPACE_FACTOR = 2.2  # of the backup's size: a copy of it, and one of its content
MAX_NAMED = 10


class _DrillFailed(Exception):
    """The drill ended without a proof; `blames_backup` if the backup is the reason."""

    def __init__(self, detail: str, *, blames_backup: bool = False) -> None:
        super().__init__(detail)
        self.blames_backup = blames_backup


@dataclass(frozen=True)
class _Restored:
    """A restored database: what it holds, how long it took, and what was left out."""

    facts: RestoredFacts
    seconds: float
    left_out: Sequence[str]


@dataclass(frozen=True)
class _DrillSession:
    """A session of this remediation on one folder of backups."""

    scope: Scope
    target: BackupTarget
    drill: Drill
    identities: Sequence[Any]

    @property
    def effect_timeout(self) -> timedelta:
        return self.drill.timeout + CLEANUP

    @property
    def proof(self) -> RunProof:
        """The markers of this run; a scratch database that a crash has left is dropped by the next start."""
        return RunProof(self.scope.run, ProofKind.RESTORED, lambda: self.folder)

    @property
    def folder(self) -> BackupFolder:
        return open_backups(self.scope, self.drill.timeout)

    async def plan(self) -> Plan:
        """See RemediationSession. Asks the sizes and compares the servers before anything is restored."""
        now = datetime.now(UTC)
        with translate_errors(self.scope):
            async with asyncio.timeout(PLAN_SECONDS):
                backups = await self.folder.list_newest(now)
                marker = await self.folder.read_marker(backups[0], ProofKind.RESTORED) if backups else None
        if not backups:
            return Plan((), 0, empty_reason=NO_BACKUP)
        newest = backups[0]
        if self.scope.trigger == "alert" and marker is not None and now - marker.at <= self._older_than:
            return Plan((), 0, evidence={"last": marker.at.isoformat()}, empty_reason="" if marker.ok else KNOWN_BAD)
        source = await read_source(self.scope, self.drill)
        async with open_scratch_server(self.scope, self.drill) as server:
            require_other_server(server, source.servers, source.size)
            with translate_postgres_errors(self.scope):
                leftovers = await server.leftovers()
        evidence = {
            "size": newest.size,
            "age_seconds": round((now - newest.at).total_seconds()),
            "database_bytes": source.size,
            "tables": len(source.rows),
            "leftovers": leftovers,
        }
        return Plan((Item(identity_of(newest), evidence),), 1, evidence=evidence)

    @property
    def _older_than(self) -> timedelta:
        """The time in which an alert restores the same backup once: the alert ends only after the next listing."""
        return self.scope.settings.older_than or OLDER_THAN

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return [await self._drill(item) for item in items]

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        with translate_errors(self.scope):
            return [await self.proof.outcome(item) for item in items]

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if the marker proves the restore, and no scratch database is left."""
        wrong = []
        with translate_errors(self.scope):
            for item in items:
                marker = await self.proof.read(item)
                if marker is None or marker.run != self.scope.run or not marker.ok:
                    wrong.append(f"{item.identity['object']} has no marker of this run that proves its restore")
        async with open_scratch_server(self.scope, self.drill) as server:
            with translate_postgres_errors(self.scope):
                wrong += [f"the scratch database {name} is left" for name in await server.leftovers()]
        return Verdict(not wrong, {"wrong": wrong})

    async def _drill(self, item: Item) -> EffectOutcome:
        name = str(item.identity["object"])
        with translate_errors(self.scope):
            backup = await self.folder.get(name)
        if backup is None or not is_unchanged(backup, item):
            return EffectOutcome(ItemState.SKIPPED, f"{name} has changed or is gone since the plan")
        try:
            return await self._restore_and_mark(backup)
        except _DrillFailed as error:
            note = f"; {await self.proof.write_bad(backup, str(error))}" if error.blames_backup else ""
            return EffectOutcome(ItemState.FAILED, f"{name}: {error}{note}")
        except (TargetUnreachable, RunRefused) as error:
            return EffectOutcome(ItemState.FAILED, f"{name} was not restored: {error}")
        except STORAGE_ERRORS as error:
            return EffectOutcome(ItemState.FAILED, f"{name} cannot be read: {describe(error)}")

    async def _restore_and_mark(self, backup: BackupObject) -> EffectOutcome:
        source = await read_source(self.scope, self.drill)
        async with open_scratch_server(self.scope, self.drill) as server:
            require_other_server(server, source.servers, source.size)
            with translate_postgres_errors(self.scope):
                swept = await server.sweep()
            restored = await self._restore_within_limits(server, source, backup)
        if not restored.facts.rows:
            raise _DrillFailed("it holds no table", blames_backup=True)
        lacking = shortfalls(self.drill, source, restored.facts, backup.at, has_rows=self.target.kind == "full")
        if lacking:
            raise _DrillFailed(
                f"it was restored, and is not a backup of {self.drill.postgres}: {'; '.join(lacking)}",
                blames_backup=True,
            )
        facts, seconds = restored.facts, round(restored.seconds, 3)
        marker = self.proof.marker(
            backup, duration_seconds=seconds, rows=facts.marked_rows(), newest_row_at=facts.newest_row_at
        )
        detail = f"{_proof(backup, restored, swept)}; {await self.proof.write(marker)}"
        if self.drill.within is not None and restored.seconds > self.drill.within.total_seconds():
            promised = format_duration(self.drill.within)
            return EffectOutcome(
                ItemState.FAILED, f"{detail}; that is longer than the promised {promised} (drill.within)"
            )
        return EffectOutcome(ItemState.APPLIED, detail)

    async def _restore_within_limits(
        self, server: ScratchServer, source: DrillSource, backup: BackupObject
    ) -> _Restored:
        """Restore and count, ended by the time limit and by the size limit; the database is dropped in any case."""
        strays: Sequence[str] = ()
        try:
            async with asyncio.timeout(self.drill.timeout.total_seconds()) as limit:
                async with scratch_database(server, scratch_name(self.scope), source.encoding) as name:
                    restored = await self._restore_watched(server, name, backup)
        except TimeoutError:
            if not limit.expired():
                raise
            span = format_duration(self.drill.timeout)
            raise _DrillFailed(f"the drill took over {span} and was ended; raise drill.timeout") from None
        finally:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                strays = await server.drop_strays()
        if strays:
            raise _DrillFailed(f"the dump has created the databases {', '.join(strays)}, which were dropped")
        return restored

    async def _restore_watched(self, server: ScratchServer, name: str, backup: BackupObject) -> _Restored:
        """Restore while the size of the database is watched."""
        work = asyncio.create_task(self._restore(name, backup))
        try:
            while not work.done():
                await asyncio.wait([work], timeout=WATCH_SECONDS)
                with translate_postgres_errors(self.scope):
                    size = await server.size_of(name)
                if size > self.drill.max_bytes:
                    limit = self.drill.max_bytes
                    raise _DrillFailed(f"the scratch database has grown to {size} bytes, drill.max_bytes is {limit}")
            return work.result()
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def _restore(self, name: str, backup: BackupObject) -> _Restored:
        """Fetch, check, restore and count. The duration is that of a recovery: without the check and the counts."""
        now = asyncio.get_running_loop().time
        with scratch_dir() as folder:
            began = now()
            file = await self._fetch(backup, folder)
            fetched = now() - began
            await self._check(file)
            began = now()
            left_out = await self._run_restore(name, file, folder)
            seconds = fetched + now() - began
        return _Restored(await read_restored(self.scope, self.drill, name), seconds, left_out)

    async def _fetch(self, backup: BackupObject, folder: Path) -> Path:
        """Return a private copy of the backup."""
        free, needed = shutil.disk_usage(folder).free, int(SPACE_FACTOR * backup.size)
        if free < needed:
            raise _DrillFailed(f"{folder.parent} has {free} bytes free, and the drill may need {needed}; set TMPDIR")
        file = folder / "backup"
        await write_file(self.folder.stream(backup.name), file)
        if (size := (await asyncio.to_thread(file.stat)).st_size) != backup.size:
            raise TargetUnreachable(f"the storage returned {size} of {backup.size} bytes; try again")
        return file

    async def _check(self, file: Path) -> None:
        """Read the backup to its end first: half of plain SQL restores without an error."""
        read_archive = (self.drill.program("pg_restore"), "--file=/dev/null")
        try:
            async with aclosing(read_file(file)) as chunks:
                await read_backup(chunks, self.identities, read_archive)
        except BackupLocked as error:
            raise _DrillFailed(str(error)) from None
        except BackupUnreadable as error:
            raise _DrillFailed(f"it is unusable: {error}", blames_backup=True) from None

    async def _run_restore(self, name: str, file: Path, folder: Path) -> Sequence[str]:
        secret = self.drill.dsn_secret()
        target = ScratchTarget(libpq_connection(secret.key, secret.read()), name, folder)
        try:
            async with aclosing(read_file(file)) as chunks:
                peeled = await peel(chunks, self.identities)
                if peeled.is_locked:
                    raise _DrillFailed("it is encrypted, and the inventory has no decrypt")
                return await restore(peeled, self.drill, target)
        except BackupUnreadable as error:
            raise _DrillFailed(f"it is unusable: {error}", blames_backup=True) from None
        except RestoreFailed as error:
            raise _DrillFailed(f"it cannot be restored: {error}") from None


def _proof(backup: BackupObject, restored: _Restored, swept: Sequence[str]) -> str:
    facts = restored.facts
    words = [
        f"{backup.name} was restored in {restored.seconds:.1f} s:"
        f" {len(facts.rows)} tables, {sum(facts.rows.values())} rows"
    ]
    if facts.newest_row_at is not None:
        words.append(f"the newest row is of {facts.newest_row_at:%Y-%m-%d %H:%M:%S} UTC")
    if restored.left_out:
        words.append(f"left out: {', '.join(restored.left_out[:MAX_NAMED])}")
    if swept:
        words.append(f"dropped what earlier drills had left: {', '.join(swept)}")
    return "; ".join(words)


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_DrillSession]:
    target = backups_target(scope)
    if target.drill is None:
        key = f"stacks.{scope.target.stack}.backups.{scope.target.name}.drill"
        raise TargetUnreachable(f"{scope.target}: the inventory does not say where a drill restores; add {key}")
    yield _DrillSession(scope, target, target.drill, identities_of(scope))


def _write_fix(_scope: Scope, _causes: Sequence[Cause]) -> Fix:
    return Fix(
        "A drill proves a restore for weeks, so several in one week prove nothing that lasts. See why the marker of the"
        " last one does not count: it failed, it was deleted, or the limit of the alert is shorter than older_than."
    )


REMEDIATION = Remediation(
    name="restore_drill",
    kind="backups",
    keys=frozenset({"older_than"}),
    max_items=1,
    one_effect=True,
    open=_open,
    undo=Undo("none", "The scratch database is dropped; only the marker stays, and can be removed."),
    permanent_fix=PermanentFix(_write_fix),
    past_size=ONE_ITEM,
    words=ActWords("Restore a backup of {} into a scratch database", "Restored a backup of {} into a scratch database"),
    needs=Needs(lambda stack, name: stack.backups[name].drill is not None, "drill"),
)
