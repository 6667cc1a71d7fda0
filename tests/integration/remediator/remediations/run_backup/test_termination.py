"""No command outlives its run."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from remediator.clients.child_process import run_command
from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.run_backup.steps import (
    apply,
    entries,
    names,
    plan_of,
    script,
    text_of,
    wait_for_content,
)


async def test_cancellation_ends_the_command_with_its_children(scope, store, temporary: Path, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    stubborn = script(tmp_path, f"trap '' TERM; sleep 300 & echo $! $$ > {tmp_path}/pids; wait")
    running = asyncio.create_task(apply(scope({"command": [stubborn]}), item))
    pids = await pids_in(tmp_path / "pids")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await wait_for_end(pids)
    assert entries(temporary) == []
    assert await names(store) == []


async def test_dump_left_by_a_killed_remediator_is_removed(scope, temporary: Path) -> None:
    left = temporary / "runbook-backup-left"
    left.mkdir()
    (left / "dump").write_text("all of it")
    [item] = (await plan_of(scope())).items
    assert (await apply(scope(), item)).state is ItemState.APPLIED
    assert entries(temporary) == []


async def test_cancellation_during_the_start_leaves_no_process(tmp_path: Path) -> None:
    """The command may run before asyncio returns its process; blocking the loop makes sure of that."""
    forking = script(tmp_path, f"sleep 300 & echo $! $$ > {tmp_path}/pids; wait")
    running = asyncio.create_task(run_command([forking], {"PATH": os.environ["PATH"]}))
    await asyncio.sleep(0)
    for _ in range(10):  # one step of the loop at a time, until the command has been forked
        await asyncio.sleep(0)
        if wait_for_text(tmp_path / "pids", seconds=0.3):
            break
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await wait_for_end(await pids_in(tmp_path / "pids"))


def wait_for_text(file: Path, seconds: float) -> str:
    """Block the event loop until the file has content."""
    deadline = time.monotonic() + seconds
    while not text_of(file) and time.monotonic() < deadline:
        time.sleep(0.01)
    return text_of(file)


async def test_command_dies_with_the_remediator(tmp_path: Path) -> None:
    """A killed remediator cannot clean up; the kernel does."""
    program = textwrap.dedent(f"""
        import asyncio, sys
        from remediator.clients.child_process import run_command
        asyncio.run(run_command(["sh", "-c", "echo $$ > {tmp_path}/pids; exec sleep 300"], {{"PATH": "/usr/bin:/bin"}}))
    """)
    parent = start(program)
    try:
        [pid] = await pids_in(tmp_path / "pids")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    await wait_for_end([pid])


async def wait_for_end(pids: list[int]) -> None:
    """Wait at most a second for killed processes, which end within milliseconds."""
    for _ in range(50):
        if not (alive := [pid for pid in pids if is_alive(pid)]):
            return
        await asyncio.sleep(0.02)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"still alive: {alive}")


async def pids_in(file: Path) -> list[int]:
    return [int(word) for word in (await wait_for_content(file)).split()]


def start(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[5])


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
