"""Runs the demo's commands as a user would, and reads processes from /proc independently."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.paths import CHECKOUT, DemoPaths

PATHS = DemoPaths()
UP_SECONDS = 60
DOWN_SECONDS = 60
LOOP_SECONDS = 180


@dataclass(frozen=True)
class CommandResult:
    """The result of a command of the demo."""

    code: int
    output: str


def run_demo(*arguments: str, seconds: float) -> CommandResult:
    """Run `python -m demo …` to its end."""
    command = [sys.executable, "-m", "demo", *arguments]
    result = subprocess.run(
        command, cwd=CHECKOUT, timeout=seconds, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return CommandResult(result.returncode, result.stdout)


def demo_processes() -> dict[int, str]:
    """Return the processes in the demo's folder or with its path as argument."""
    processes = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            folder, arguments = (entry / "cwd").readlink(), (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if status not in "ZX" and (folder.is_relative_to(PATHS.root) or str(PATHS.root) in arguments):
            processes[int(entry.name)] = arguments.replace("\0", " ")
    return processes


@pytest.fixture(scope="module")
def up() -> Iterator[DemoPaths]:
    """Run a demo for the tests of one file."""
    answer = run_demo("up", seconds=UP_SECONDS)
    assert answer.code == 0, answer.output
    yield PATHS
    answer = run_demo("down", seconds=DOWN_SECONDS)
    assert answer.code == 0, answer.output


@pytest.fixture(scope="module")
def report(up: DemoPaths) -> dict[str, Any]:
    """Return the report after the four incidents; the demo is still running."""
    answer = run_demo("loop", seconds=LOOP_SECONDS)
    assert up.report.exists(), answer.output
    content: dict[str, Any] = json.loads(up.report.read_text())
    return {**content, "exit_code": answer.code, "output": answer.output}


@pytest.fixture(scope="module")
def addresses(up: DemoPaths) -> Callable[[str], str]:
    """Return a function that looks a key up in the demo's `env` file."""
    lines = dict(line.split("=", 1) for line in up.env.read_text().splitlines())
    return lambda key: lines[key]


@pytest.fixture
def started_again() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Yield a list for processes that the test itself starts; stop and reap them afterwards."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    run_demo("down", seconds=DOWN_SECONDS)
    for process in processes:
        process.wait(10)
