"""Stops all processes of the demo and deletes its files, except logs and report."""

import shutil
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo.errors import DemoError
from demo.launch import recorded_processes
from demo.leftovers import leftover_processes
from demo.lock import demo_lock
from demo.paths import DemoPaths
from demo.servers.postgres import PostgresServer
from demo.servers.proc import identify, send
from demo.servers.process import Process
from demo.servers.unprivileged import leave_place

# Stopped last: the other parts are connected to them and would log errors.
STORES = ("postgres", "redis", "s3")
KEPT_ENTRIES = ("report.json", "notifications.jsonl", "parts", "lock")
ATTEMPTS = 20


def down(paths: DemoPaths) -> None:
    """Stop the demo of `paths`, in any state. Does nothing without one.

    Raises:
        DemoError: a process cannot be killed, or another command starts or stops the demo.
    """
    with demo_lock(paths):
        stop_all(paths)


def stop_all(paths: DemoPaths) -> None:
    """Stop the demo for a caller that holds the lock. Ignores Ctrl-C until it is done."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        paths.env.unlink(missing_ok=True)
        _stop_recorded(paths)
        leave_place(paths.part("postgres"))
        _kill_leftovers(paths)
        _remove_files(paths)
    finally:
        signal.signal(signal.SIGINT, previous)


def _stop_recorded(paths: DemoPaths) -> None:
    parts = recorded_processes(paths)
    _stop([part for part in parts if part.name not in STORES])
    _stop([part for part in parts if part.name in STORES])


def _stop(parts: Sequence[Process]) -> None:
    if parts:
        with ThreadPoolExecutor(max_workers=len(parts)) as pool:
            list(pool.map(_stop_one, parts))


def _stop_one(part: Process) -> None:
    part.stop(PostgresServer.stop_signal if part.name == PostgresServer.name else signal.SIGTERM)


def _kill_leftovers(paths: DemoPaths) -> None:
    """Kill unrecorded processes: of a killed start, or of a part that was restarted by hand."""
    for _ in range(ATTEMPTS):
        remaining = leftover_processes(paths)
        if not remaining:
            return
        for process in remaining:
            try:
                send(identify(process.pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
    processes = ", ".join(f"{each.pid} ({each.program})" for each in leftover_processes(paths))
    raise DemoError(f"cannot kill {processes}; kill them by hand")


def _remove_files(paths: DemoPaths) -> None:
    """Remove everything except the logs, whose paths error messages name."""
    for entry in paths.root.iterdir():
        if entry.name not in KEPT_ENTRIES:
            _remove(entry)
    for entry in paths.parts.glob("*/*"):
        if entry.suffix != ".log":
            _remove(entry)


def _remove(entry: Path) -> None:
    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
