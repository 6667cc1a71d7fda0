"""Finds processes of a demo by what they are (folder, program, environment), never by a name.

The pid files are how the demo ends what it started. This is how it checks that it did, and finds what an interrupted
start had no time to write down, or what somebody started again by hand.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from demo.paths import CHECKOUT, DemoPaths

# Every part is started with this variable, and its children inherit it.
MARKER_VARIABLE = "RUNBOOKD_DEMO"


@dataclass(frozen=True)
class LeftoverProcess:
    """One process, by its number, and what it runs."""

    pid: int
    program: str


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:  # it ended, or it is somebody else's
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
    # A shell or an editor that somebody left in the folder is not ours, so the program has to be ours as well.
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
    """The processes of this demo that live, this one and its parent excepted. A zombie has ended."""
    own = {os.getpid(), os.getppid()}
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    processes = [
        LeftoverProcess(pid, _read_link(pid, "exe")) for pid in sorted(pids) if pid not in own and _is_part(pid, paths)
    ]
    return [each for each in processes if each.program]
