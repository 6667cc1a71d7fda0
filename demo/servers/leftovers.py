"""Stops servers whose starter has ended without stopping them."""

import os
from pathlib import Path
from signal import SIGQUIT

from demo.servers.proc import read_status
from demo.servers.process import Process, remove_folder
from demo.servers.unprivileged import leave_place


def end_leftovers(sessions: Path) -> None:
    """Stop all servers below `sessions/PID` of ended processes PID, and delete these folders."""
    for folder in sessions.iterdir():
        if folder.name.isdigit() and _is_gone(int(folder.name)):
            end_everything_in(folder)


def end_everything_in(folder: Path) -> None:
    """Stop every process recorded below `folder`, and delete the folder."""
    for record in folder.rglob("*.pid"):
        # SIGQUIT stops both PostgreSQL and Redis at once; `stop` kills the rest of the session.
        if record.name != "postmaster.pid":
            Process(record.parent, record.stem).stop(SIGQUIT, seconds=5)
            leave_place(record.parent)
    remove_folder(folder)


def _is_gone(starter: int) -> bool:
    # Our own number belongs to an earlier process: this one has not created a folder yet.
    return starter == os.getpid() or read_status(starter) is None
