"""Reads processes from /proc, and sends signals that cannot hit the wrong process."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, distinct from others that had its number: `started` is in ticks since `boot`."""

    pid: int
    started: int
    boot: str


@dataclass(frozen=True)
class ProcessStatus:
    """Fields of /proc/PID/stat; see proc(5)."""

    pid: int
    state: str
    parent: int
    session: int
    started: int


def identify(pid: int) -> ProcessIdentity:
    """Return the identity of a process. Raises ProcessLookupError if it does not exist."""
    status = read_status(pid)
    if status is None:
        raise ProcessLookupError(f"no process {pid}")
    return ProcessIdentity(pid, status.started, boot_id())


def boot_id() -> str:
    """Return the ID of this boot: process numbers and ticks start again at each boot."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def read_status(pid: int) -> ProcessStatus | None:
    """Return the status of a process, or None if it does not exist."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name is in brackets and may itself contain brackets and blanks.
    fields = text.rpartition(")")[2].split()
    return ProcessStatus(pid, state=fields[0], parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]))


def is_running(process: ProcessIdentity) -> bool:
    """Return whether this process still runs. A zombie does not."""
    status = read_status(process.pid)
    return (
        status is not None
        and status.state not in "ZX"
        and process == ProcessIdentity(status.pid, status.started, boot_id())
    )


def session_members(leader: ProcessIdentity) -> list[ProcessIdentity]:
    """Return the running processes of the session of `leader`, even after its end.

    The kernel does not reuse a number while a session has it. So a different process with the leader's number proves
    that the session has no members left.
    """
    now = boot_id()
    holder = read_status(leader.pid)
    if leader.boot != now or (holder is not None and holder.started != leader.started):
        return []
    return [
        ProcessIdentity(status.pid, status.started, now)
        for status in _running_processes()
        if status.session == leader.pid and status.started >= leader.started
    ]


def descendants(ancestor: ProcessIdentity) -> list[ProcessIdentity]:
    """Return all running descendants; PostgreSQL's children have their own sessions."""
    if not is_running(ancestor):
        return []
    running = list(_running_processes())
    pids = {ancestor.pid}
    while more := {status.pid for status in running if status.parent in pids} - pids:
        pids |= more
    return [
        ProcessIdentity(each.pid, each.started, ancestor.boot) for each in running if each.pid in pids - {ancestor.pid}
    ]


def _running_processes() -> Iterator[ProcessStatus]:
    statuses = (read_status(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit())
    return (status for status in statuses if status and status.state not in "ZX")


def send(process: ProcessIdentity, number: signal.Signals) -> None:
    """Signal this process or none: a descriptor pins it before its identity is checked."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if is_running(process):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
