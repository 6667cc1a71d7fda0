"""Reads which files the processes of this machine have open (Linux: proc(5), /proc/PID/fd)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
FIRST_PID_NAMESPACE = 0xEFFFFFFC  # the inode of the machine's own namespace; in a container it is another
FileId = tuple[int, int]


@dataclass(frozen=True)
class OpenFiles:
    """The open files by device and inode, and why some may be missing, or None."""

    files: frozenset[FileId]
    blind_spot: str | None

    def has(self, status: os.stat_result) -> bool:
        """Return whether a process has this file open, as far as can be seen."""
        return (status.st_dev, status.st_ino) in self.files


def read_open_files(proc: Path = PROC) -> OpenFiles:
    """Read the open files of all processes; those that end meanwhile are left out."""
    files: set[FileId] = set()
    hidden = 0
    for process in _processes(proc):
        try:
            files.update(_files_of(process))
        except PermissionError:
            hidden += 1
    return OpenFiles(frozenset(files), _blind_spot(proc, hidden))


def _processes(proc: Path) -> Iterator[Path]:
    yield from (entry for entry in proc.iterdir() if entry.name.isdigit())


def _files_of(process: Path) -> Iterator[FileId]:
    try:
        links = list((process / "fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return
    for link in links:
        try:
            status = link.stat()
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield status.st_dev, status.st_ino


def _blind_spot(proc: Path, hidden: int) -> str | None:
    if hidden:
        return f"{hidden} processes of other users hide their open files"
    if (proc / "self" / "ns" / "pid").stat().st_ino != FIRST_PID_NAMESPACE:
        return "the processes outside this container cannot be seen"
    return None
