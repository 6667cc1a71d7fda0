"""Finds processes of a demo by folder, program and environment, never by name.

The demo stops its processes by pid file. This finds the rest: those that an interrupted start did not record, or that
a user restarted by hand.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from demo.paths import CHECKOUT, DemoPaths

# Every part starts with this variable, and its children inherit it.
MARKER_VARIABLE = "RUNBOOKD_DEMO"


@dataclass(frozen=True)
class LeftoverProcess:
    """A process that is still running, and its program."""

    pid: int
    program: str


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:  # the process has ended, or belongs to another user
        return b""


def _read_link(pid: int, what: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/{what}").readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""


def _is_below(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder)


def _is_part(pid: int, paths: DemoPaths) -> bool:
    if f"{MARKER_VARIABLE}={paths.root}".encode() in _read(pid, "environ").split(b"\0"):
        return True
    # The program must be ours, too: a user may have a shell or an editor open in the folder.
    if not _is_below(_read_link(pid, "cwd"), paths.root):
        return False
    programs = [
        _read_link(pid, "exe"),
        *(each.decode(errors="replace") for each in _read(pid, "cmdline").split(b"\0")[:2]),
    ]
    return any(
        _is_below(program, CHECKOUT / ".tools") or _is_below(program, CHECKOUT / ".venv") for program in programs
    )


def leftover_processes(paths: DemoPaths) -> list[LeftoverProcess]:
    """Return the demo's running processes, except this one, its parent and zombies."""
    own = {os.getpid(), os.getppid()}
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    processes = [
        LeftoverProcess(pid, _read_link(pid, "exe")) for pid in sorted(pids) if pid not in own and _is_part(pid, paths)
    ]
    return [each for each in processes if each.program]
