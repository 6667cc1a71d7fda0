"""Folders of old files, such as logs and exports, which `prune_files` may delete after an approval."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated

from runbookd.inventory.constraints import AfterValidator, Field, StringConstraints
from runbookd.inventory.durations import Duration
from runbookd.inventory.section import Section
from runbookd.inventory.sizes import Size

# The system's own: no log of a product lies below them.
SYSTEM_FOLDERS = tuple(
    PurePosixPath("/", name)
    for name in ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr")
)
# Folders that hold those of many programs: a folder below them may be named, they may not.
SHARED_FOLDERS = frozenset(PurePosixPath("/var", name) for name in ("lib", "log", "opt", "spool", "tmp"))
AUDIT_PATTERNS = ("*audit*", "*auth*", "*secur*")  # evidence, whose age is for people to judge

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00/]+$")]


class OpenFiles(StrEnum):
    """The fate of a file that a process has open.

    `leave`: it stays. `truncate`: it is emptied, since deleting it would free nothing. `unchecked`: as leave, but the
    remediator may also act where it cannot see the files of every process.
    """

    LEAVE = "leave"
    TRUNCATE = "truncate"
    UNCHECKED = "unchecked"


def _check_path(path: Path) -> Path:
    pure = PurePosixPath(path)
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{str(path)!r} is not an absolute path without '..'; write the whole path of the folder")
    if len(pure.parts) < 3 or pure in SHARED_FOLDERS:
        raise ValueError(f"{path} holds the files of several programs; name a folder below it")
    for system in SYSTEM_FOLDERS:
        if pure.is_relative_to(system):
            raise ValueError(f"{path} is below {system}, which belongs to the system; name a folder of the product")
    return path


def _at_least_an_hour(age: timedelta) -> timedelta:
    if age < timedelta(hours=1):
        raise ValueError("must be at least 1h; a younger file may still be written")
    return age


class FolderTarget(Section):
    """The files directly in the folder `path` whose names match `pattern`.

    Those that were last written `older_than` ago may go, the oldest first, up to `max_bytes` per run. The newest
    `keep` always stay, and so do those that match `exclude`.
    """

    path: Annotated[Path, AfterValidator(_check_path)]
    pattern: Pattern
    exclude: tuple[Pattern, ...] = AUDIT_PATTERNS
    older_than: Annotated[Duration, AfterValidator(_at_least_an_hour)]
    keep: Annotated[int, Field(ge=1, le=100_000)] = 3
    max_bytes: Size = 5 * 2**30
    open_files: OpenFiles = OpenFiles.LEAVE
