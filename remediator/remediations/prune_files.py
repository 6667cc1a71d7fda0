"""Deletes old files, such as rotated logs, directly in one folder of the inventory, after an approval.

Sources: PMCRM, "Monitoring Dashboard Review" (clean logs when the disk is 85 % full); Formula PM, "Weekly Maintenance"
(log files older than 30 days). Their traps: `*.log` misses rotated files and takes the audit log, a file that a
process has open frees no space, and deleted WAL destroys the database.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Literal

from remediator.clients.folder import Folder, decode_name, encode_name, is_plain_file, open_folder
from remediator.clients.open_files import OpenFiles, read_open_files
from remediator.model.act_words import ActWords
from remediator.model.clock import SystemClock
from remediator.model.errors import RunRefused
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.quoting import shell_word
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
from remediator.model.target import sanitize
from runbookd.inventory import FolderTarget
from runbookd.inventory.folders import OpenFiles as OpenFilesChoice

MAX_LISTED = 1_000
SURE_AGE = timedelta(hours=24)  # what nobody wrote for a day is hardly open, where that cannot be seen
EFFECT_SECONDS = 60.0
LEFTOVER = b".runbookd-prune-"  # a file between its two steps; a crash leaves it, and the next plan lists it
# WAL segments with their history and backup files, and the files of Redis: never old files, whatever their age.
DATABASE_FILES = re.compile(r"[0-9A-F]{24}(\..*)?|[0-9A-F]{8}\.history.*|PG_VERSION|.*\.(rdb|aof)(\..*)?")
LOG_FOLDERS = (("log",), ("pg_log",))  # of PostgreSQL's data directory
clock = SystemClock()
Act = Literal["delete", "truncate"]


@dataclass(frozen=True)
class File:
    """One file of the folder."""

    name: bytes
    status: os.stat_result

    @property
    def shown_name(self) -> str:
        """The name for pattern and people; any other byte than UTF-8 is kept as a surrogate."""
        return os.fsdecode(self.name)

    @property
    def age(self) -> timedelta:
        """The time since the last write."""
        return clock.now() - datetime.fromtimestamp(self.status.st_mtime, UTC)

    @property
    def stamp(self) -> str:
        """A text that changes with another file, and with each write or second name of this one."""
        status = self.status
        return f"{status.st_dev}-{status.st_ino}-{status.st_mtime_ns}-{status.st_size}-{status.st_nlink}"


@dataclass(frozen=True)
class _PruneSession:
    """A session of this remediation on one folder, which stays the same folder while it is open."""

    scope: Scope
    target: FolderTarget
    folder: Folder

    @property
    def effect_timeout(self) -> timedelta:
        return timedelta(seconds=EFFECT_SECONDS)

    async def plan(self) -> Plan:
        return await asyncio.to_thread(self._plan)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        return await asyncio.to_thread(lambda: [self._prune(item) for item in items])

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """See RemediationSession. A file under its name, or between the two steps, is still there."""
        return await asyncio.to_thread(lambda: [self._outcome_of(item) for item in items])

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """See RemediationSession. Clean if no planned file is there any longer; one that was emptied may have grown."""
        outcomes = await self.resolve_outcome(items)
        left = sum(outcome.state is not ItemState.APPLIED for outcome in outcomes)
        return Verdict(left == 0, {"left": left, "disk_free_bytes": self._free_bytes()})

    def _plan(self) -> Plan:
        self._require_no_database()
        left_out: Counter[str] = Counter()
        old_files = list(self._old_files(left_out))
        open_files = read_open_files()
        if old_files:
            self._require_sight(open_files)
        chosen = [(file, act) for file in old_files if (act := self._act_on(file, open_files, left_out))]
        fitting = self._fitting(chosen, left_out)
        items = tuple(self._item(file, act) for file, act in fitting[:MAX_LISTED])
        total = sum(file.status.st_size for file, _ in fitting)
        evidence = {"bytes": total, "disk_free_bytes": self._free_bytes(), "left_out": dict(left_out)}
        empty_reason = "too_large" if chosen and not items else ""
        return Plan(items, len(chosen) if items else 0, evidence=evidence, empty_reason=empty_reason)

    def _old_files(self, left_out: Counter[str]) -> Iterator[File]:
        """Yield the files that are old enough, the oldest first; the newest ones stay whatever their age."""
        files = sorted(self._matching(left_out), key=lambda file: (file.status.st_mtime_ns, file.name))
        left_out["newest"] = len(files[-self.target.keep :])
        for file in files[: -self.target.keep]:
            if file.age < self.target.older_than:
                left_out["young"] += 1
            else:
                yield file

    def _matching(self, left_out: Counter[str]) -> Iterator[File]:
        for name in self.folder.names():
            status = self.folder.status(name)
            if status is None or not self._matches(name):
                continue
            file = File(name, status)
            if not is_plain_file(status):
                left_out["no_plain_file"] += 1
            elif any(fnmatchcase(file.shown_name, pattern) for pattern in self.target.exclude):
                left_out["excluded"] += 1
            elif DATABASE_FILES.fullmatch(file.shown_name):
                left_out["database_file"] += 1
            else:
                yield file

    def _matches(self, name: bytes) -> bool:
        return name.startswith(LEFTOVER) or fnmatchcase(os.fsdecode(name), self.target.pattern)

    def _act_on(self, file: File, open_files: OpenFiles, left_out: Counter[str]) -> Act | None:
        """Return what may be done to an old file now, or None with the reason counted."""
        if open_files.has(file.status):
            if self.target.open_files is OpenFilesChoice.TRUNCATE and file.status.st_size > 0:
                return "truncate"
            left_out["open"] += 1
            return None
        if open_files.blind_spot is not None and file.age < SURE_AGE:
            left_out["perhaps_open"] += 1
            return None
        return "delete"

    def _fitting(self, chosen: Sequence[tuple[File, Act]], left_out: Counter[str]) -> Sequence[tuple[File, Act]]:
        """Return the oldest files that are together within `max_bytes`."""
        sums = accumulate(file.status.st_size for file, _ in chosen)
        count = sum(total <= self.target.max_bytes for total in sums)
        left_out["over_max_bytes"] = len(chosen) - count
        return chosen[:count]

    def _item(self, file: File, act: Act) -> Item:
        identity = {"folder": self.folder.identity, "name": encode_name(file.name), "file": file.stamp, "act": act}
        written = datetime.fromtimestamp(int(file.status.st_mtime), UTC).isoformat()
        shown = sanitize(file.shown_name)
        return Item(identity, {"name": shown, "bytes": file.status.st_size, "last_written": written, "act": act})

    def _prune(self, item: Item) -> EffectOutcome:
        try:
            return self._empty(item) if item.identity["act"] == "truncate" else self._delete(item)
        except FileNotFoundError:
            return EffectOutcome(ItemState.SKIPPED, "is gone since it was planned")
        except OSError as error:
            return EffectOutcome(ItemState.FAILED, f"{error.strerror}; {self._remedy()}")

    def _delete(self, item: Item) -> EffectOutcome:
        """Rename the file, look at it again, then delete it: a rename by others cannot put another file in between."""
        name, aside = _name(item), _aside_name(item)
        if reason := self._reason_to_skip(item, name):
            return EffectOutcome(ItemState.SKIPPED, reason)
        if name != aside:
            if self.folder.status(aside) is not None:
                return EffectOutcome(ItemState.SKIPPED, f"{encode_name(aside)} exists already; delete it by hand")
            self.folder.rename(name, aside)
        if reason := self._reason_to_skip(item, aside):
            return EffectOutcome(ItemState.SKIPPED, f"{reason}{self._put_back(aside, name)}")
        self.folder.delete(aside)
        return EffectOutcome(ItemState.APPLIED, "deleted")

    def _put_back(self, aside: bytes, name: bytes) -> str:
        if name == aside or self.folder.put_back(aside, name):
            return ""
        return f"; its name is taken again, so it stays as {encode_name(aside)}"

    def _empty(self, item: Item) -> EffectOutcome:
        with self.folder.writable(_name(item)) as descriptor:
            if File(_name(item), os.fstat(descriptor)).stamp != item.identity["file"]:
                return EffectOutcome(ItemState.SKIPPED, "has been written or replaced since it was planned")
            os.ftruncate(descriptor, 0)
            os.fsync(descriptor)
        return EffectOutcome(ItemState.APPLIED, "emptied; a process has it open")

    def _reason_to_skip(self, item: Item, name: bytes) -> str:
        """Return why what has this name now must not be deleted."""
        if self.folder.identity != item.identity["folder"]:
            return "another folder has taken the place of the planned one"
        if (file := self._file(name)) is None:
            return "is gone since it was planned"
        if file.stamp != item.identity["file"] or not is_plain_file(file.status):
            return "has been written or replaced since it was planned"
        if read_open_files().has(file.status):
            return "a process has opened it"
        return ""

    def _file(self, name: bytes) -> File | None:
        status = self.folder.status(name)
        return None if status is None else File(name, status)

    def _outcome_of(self, item: Item) -> EffectOutcome:
        if self.folder.identity != item.identity["folder"]:
            return EffectOutcome(ItemState.UNKNOWN, "another folder has taken the place of the planned one")
        for name in (_name(item), _aside_name(item)):
            file = self._file(name)
            if file is not None and _is_still(file, item):
                return EffectOutcome(ItemState.NOT_APPLIED, f"is still there as {encode_name(name)}")
        return EffectOutcome(ItemState.APPLIED, "is no longer there, or is no longer what was planned")

    def _free_bytes(self) -> int:
        volume = os.fstatvfs(self.folder.descriptor)
        return volume.f_bavail * volume.f_frsize

    def _require_sight(self, open_files: OpenFiles) -> None:
        """Refuse where an open file could look closed, unless the inventory allows it."""
        if open_files.blind_spot is not None and self.target.open_files is not OpenFilesChoice.UNCHECKED:
            raise RunRefused(
                "open_files_hidden",
                f"{self.scope.target}: {open_files.blind_spot}; run the remediator where it sees them, or set"
                " open_files: unchecked, with which files older than 24h may go",
            )

    def _require_no_database(self) -> None:
        """Refuse a folder of PostgreSQL's data directory, other than that of its log."""
        for parent in (self.target.path, *self.target.path.parents):
            inner = self.target.path.relative_to(parent)
            if inner.parts[:1] not in LOG_FOLDERS and os.access(parent / "PG_VERSION", os.F_OK):
                raise RunRefused(
                    "database_folder",
                    f"{self.scope.target}: {parent} is a data directory of PostgreSQL; prune nothing in it",
                )

    def _remedy(self) -> str:
        return f"give the remediator's user the right to write into {self.target.path}, or delete the file by hand"


def _name(item: Item) -> bytes:
    return decode_name(str(item.identity["name"]))


def _is_still(file: File, item: Item) -> bool:
    """Return whether the planned file is still there; one to be emptied may have grown since."""
    planned, now = str(item.identity["file"]).split("-"), file.stamp.split("-")
    if item.identity["act"] == "truncate":
        return planned[:2] == now[:2] and int(now[3]) >= int(planned[3])
    return planned == now


def _aside_name(item: Item) -> bytes:
    """Return the name between the two steps; a file that a crash left there keeps it."""
    name = _name(item)
    inode = str(item.identity["file"]).split("-")[1]
    return name if name.startswith(LEFTOVER) else LEFTOVER + inode.encode()


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[_PruneSession]:
    target = scope.stack.folders[scope.target.name]
    with open_folder(target.path, scope.target) as folder:
        yield _PruneSession(scope, target, folder)


def _write_fix(scope: Scope, _causes: Sequence[Cause]) -> Fix:
    """Let the host delete what this remediation would: old files beyond the newest ones that stay."""
    folder = scope.stack.folders[scope.target.name]
    path, minutes = shell_word(str(folder.path)), int(folder.older_than.total_seconds()) // 60
    names = [f"-name {shell_word(folder.pattern)}", *(f"! -name {shell_word(each)}" for each in folder.exclude)]
    return Fix(
        "Let the program that writes the files rotate them, or its logger. Until then run this every day, from a timer"
        " or cron, as the owner of the files:",
        f"find {path} -maxdepth 1 -type f {' '.join(names)} -printf '%T@ %p\\0' | sort -zrn"
        f" | tail -zn +{folder.keep + 1} | cut -zd ' ' -f 2- | xargs -0r -I FILE find FILE -mmin +{minutes} -delete",
        "shell",
    )


REMEDIATION = Remediation(
    name="prune_files",
    kind="folders",
    keys=frozenset({"batch"}),
    max_items=100,
    one_effect=False,
    open=_open,
    undo=Undo("none", "A deleted or emptied file cannot be restored."),
    permanent_fix=PermanentFix(_write_fix),
    never_auto=True,
    words=ActWords("Delete", "deleted", "old file", "old files"),
    needs=Needs(lambda _stack, _name: True, "a path"),
)
