"""Ends servers whose starter is gone without having stopped them."""

import os
from pathlib import Path
from signal import SIGQUIT

from demo.servers.proc import read_status
from demo.servers.process import Process, remove_folder
from demo.servers.unprivileged import leave_place


def end_leftovers(sessions: Path) -> None:
    """Looks at `sessions/PID/...`: where process PID is gone, ends everything recorded below and deletes the folder."""
    for folder in sessions.iterdir():
        if folder.name.isdigit() and _is_gone(int(folder.name)):
            end_everything_in(folder)


def end_everything_in(folder: Path) -> None:
    """Ends every process recorded anywhere below `folder`, whatever server it is, and deletes the folder."""
    for record in folder.rglob("*.pid"):
        # SIGQUIT: an immediate end for PostgreSQL and Redis alike; the rest of the session is killed.
        if record.name != "postmaster.pid":
            Process(record.parent, record.stem).stop(SIGQUIT, seconds=5)
            leave_place(record.parent)
    remove_folder(folder)


def _is_gone(starter: int) -> bool:
    # Our own number: the folder is an earlier process's, since we have made none yet.
    return starter == os.getpid() or read_status(starter) is None
