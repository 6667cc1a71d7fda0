"""Commands that keep their pipe open, leave processes behind or write without end cost no more than their time."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from remediator.clients.child_process import MAX_OUTPUT, run_captured, run_command

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def script(folder: Path, text: str) -> list[str]:
    file = folder / "script"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return [str(file)]


async def ended(pid: int) -> bool:
    for _ in range(1000):
        if state_of(pid) in "Z":
            return True
        await asyncio.sleep(0.02)
    return False


def state_of(pid: int) -> str:
    """Return the letter of the kernel, Z for an ended process that nobody has waited for; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


async def test_process_left_in_the_group_ends_with_the_command(tmp_path: Path) -> None:
    result = await run_captured(script(tmp_path, "sleep 300 & echo $!"), ENVIRONMENT)
    assert (result.status, result.left_processes) == (0, True)
    assert await ended(int(result.output))


@pytest.mark.parametrize("run", [run_captured, run_command])
async def test_process_that_keeps_the_pipe_open_in_another_session_delays_nothing(tmp_path: Path, run) -> None:
    """`wait` waits until the process has left the group and holds the pipe."""
    pid = tmp_path / "pid"
    detached = f"echo $$ > {pid}; exec sleep 300"
    command = script(tmp_path, f"setsid sh -c '{detached}' & while ! test -s {pid}; do sleep 0.01; done; exit 3")
    start = time.monotonic()
    assert (await run(command, ENVIRONMENT)).status == 3
    assert time.monotonic() - start < 20
    os.kill(int(pid.read_text()), 9)


async def test_time_out_ends_a_command_whose_pipe_is_held_in_another_session(tmp_path: Path) -> None:
    command = script(tmp_path, f"setsid sleep 300 & echo $! > {tmp_path}/pid; sleep 300")
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await run_command(command, ENVIRONMENT)
    assert time.monotonic() - start < 20
    os.kill(int((tmp_path / "pid").read_text()), 9)


async def test_output_is_cut_to_its_end_and_both_streams_are_kept(tmp_path: Path) -> None:
    result = await run_captured(script(tmp_path, "yes | head -c 3000000; echo last >&2"), ENVIRONMENT)
    assert result.output.startswith("…")
    assert result.output.endswith("last")
    assert len(result.output) <= MAX_OUTPUT + 2


async def test_command_gets_no_more_environment_than_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:secret@db/shop")
    result = await run_captured(script(tmp_path, "env; pwd"), {**ENVIRONMENT, "LC_ALL": "C"})
    assert "secret" not in result.output
    assert result.output.endswith("/")
