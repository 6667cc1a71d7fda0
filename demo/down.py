"""Ends the demo: every recorded process, what is left of it in /proc, and its files but for the logs and the report."""

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

# What others are connected to ends last, so that nobody complains into the logs.
STORES = ("postgres", "redis", "s3")
KEPT_ENTRIES = ("report.json", "notifications.jsonl", "parts", "lock")
ATTEMPTS = 20


def down(paths: DemoPaths) -> None:
    """End the demo of `paths`, whatever state it is in. Does nothing where there is none.

    Raises:
        DemoError: something of it can not be ended, or somebody else is at it.
    """
    with demo_lock(paths):
        stop_all(paths)


def stop_all(paths: DemoPaths) -> None:
    """`down` for somebody who holds the lock. It is not interrupted halfway."""
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
    """Kill what no record names: a start was killed in between, or somebody started a part again by hand."""
    for _ in range(ATTEMPTS):
        remaining = leftover_processes(paths)
        if not remaining:
            return
        for process in remaining:
            try:
                send(identify(process.pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
    raise DemoError(f"can not end {', '.join(f'{each.pid} ({each.program})' for each in leftover_processes(paths))}")


def _remove_files(paths: DemoPaths) -> None:
    """The logs stay where they were written, since errors and people name them by that place."""
    for entry in paths.root.iterdir():
        if entry.name not in KEPT_ENTRIES:
            _remove(entry)
    for entry in paths.parts.glob("*/*"):
        if entry.suffix != ".log":
            _remove(entry)


def _remove(entry: Path) -> None:
    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
