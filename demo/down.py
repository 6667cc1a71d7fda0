"""Ends the demo: every recorded process, what is left of it in /proc, and its files but for the logs and the report."""

import shutil
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo.errors import DemoError
from demo.launch import recorded
from demo.leftovers import leftovers
from demo.lock import only_one
from demo.places import Places
from demo.servers.postgres import PostgresServer
from demo.servers.proc import identify, send
from demo.servers.process import Process
from demo.servers.unprivileged import leave_place

# What others are connected to ends last, so that nobody complains into the logs.
STORES = ("postgres", "redis", "s3")
KEPT = ("report.json", "notifications.jsonl", "parts", "lock")
ATTEMPTS = 20


def down(places: Places) -> None:
    """End the demo of `places`, whatever state it is in. Does nothing where there is none.

    Raises:
        DemoError: something of it can not be ended, or somebody else is at it.
    """
    with only_one(places):
        end_all(places)


def end_all(places: Places) -> None:
    """`down` for somebody who holds the lock. It is not interrupted halfway."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        places.env.unlink(missing_ok=True)
        _end_recorded(places)
        leave_place(places.part("postgres"))
        _end_leftovers(places)
        _remove_files(places)
    finally:
        signal.signal(signal.SIGINT, previous)


def _end_recorded(places: Places) -> None:
    parts = recorded(places)
    _stop([part for part in parts if part.name not in STORES])
    _stop([part for part in parts if part.name in STORES])


def _stop(parts: Sequence[Process]) -> None:
    if parts:
        with ThreadPoolExecutor(max_workers=len(parts)) as pool:
            list(pool.map(_stop_one, parts))


def _stop_one(part: Process) -> None:
    part.stop(PostgresServer.stop_signal if part.name == PostgresServer.name else signal.SIGTERM)


def _end_leftovers(places: Places) -> None:
    """Kill what no record names: a start was killed in between, or somebody started a part again by hand."""
    for _ in range(ATTEMPTS):
        left = leftovers(places)
        if not left:
            return
        for process in left:
            try:
                send(identify(process.pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
    raise DemoError(f"can not end {', '.join(f'{each.pid} ({each.program})' for each in leftovers(places))}")


def _remove_files(places: Places) -> None:
    """The logs stay where they were written, since errors and people name them by that place."""
    for entry in places.root.iterdir():
        if entry.name not in KEPT:
            _remove(entry)
    for entry in places.parts.glob("*/*"):
        if entry.suffix != ".log":
            _remove(entry)


def _remove(entry: Path) -> None:
    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
