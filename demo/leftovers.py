"""Finds processes of a demo by what they are (folder, program, environment), never by a name.

The pid files are how the demo ends what it started. This is how it checks that it did, and finds what an interrupted
start had no time to write down, or what somebody started again by hand.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from demo.places import CHECKOUT, Places

# Every part is started with this variable, and its children inherit it.
MARK = "RUNBOOKD_DEMO"


@dataclass(frozen=True)
class Found:
    """One process, by its number, and what it runs."""

    pid: int
    program: str


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:  # it ended, or it is somebody else's
        return b""


def _link(pid: int, what: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/{what}").readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""


def _below(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder)


def _is_part(pid: int, places: Places) -> bool:
    if f"{MARK}={places.root}".encode() in _read(pid, "environ").split(b"\0"):
        return True
    # A shell or an editor that somebody left in the folder is not ours, so the program has to be ours as well.
    if not _below(_link(pid, "cwd"), places.root):
        return False
    programs = [_link(pid, "exe"), *(each.decode(errors="replace") for each in _read(pid, "cmdline").split(b"\0")[:2])]
    return any(_below(program, CHECKOUT / ".tools") or _below(program, CHECKOUT / ".venv") for program in programs)


def leftovers(places: Places) -> list[Found]:
    """The processes of this demo that live, this one and its parent excepted. A zombie has ended."""
    own = {os.getpid(), os.getppid()}
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = [Found(pid, _link(pid, "exe")) for pid in sorted(pids) if pid not in own and _is_part(pid, places)]
    return [each for each in found if each.program]
