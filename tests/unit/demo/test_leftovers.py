"""Leftovers of the demo are recognized, with real processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from demo.leftovers import MARKER_VARIABLE, leftover_processes
from demo.paths import DemoPaths

VENV_PYTHON = Path(sys.executable)


@contextmanager
def _sleeping(program: str | Path, *arguments: str, cwd: Path, mark: str = "") -> Iterator[int]:
    env = {**os.environ, MARKER_VARIABLE: mark} if mark else None
    process = subprocess.Popen([str(program), *arguments], cwd=cwd, env=env)
    try:
        _await_environment(process.pid)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _await_environment(pid: int) -> None:
    """Wait until /proc shows the environment of a process that is starting."""
    with suppress(ProcessLookupError, PermissionError):  # it has ended; only root may read the rest of it
        while not Path(f"/proc/{pid}/environ").read_bytes():
            time.sleep(0.01)


def _places(tmp_path: Path) -> DemoPaths:
    paths = DemoPaths(tmp_path / "demo")
    paths.create()
    return paths


def _pids(paths: DemoPaths) -> list[int]:
    return [process.pid for process in leftover_processes(paths)]


def test_marked_process_is_a_leftover_in_any_folder(tmp_path: Path) -> None:
    paths = _places(tmp_path)
    with _sleeping("sleep", "60", cwd=Path("/"), mark=str(paths.root)) as pid:
        assert _pids(paths) == [pid]


def test_process_of_another_demo_is_ignored(tmp_path: Path) -> None:
    paths = _places(tmp_path)
    with _sleeping("sleep", "60", cwd=Path("/"), mark=f"{paths.root}-other"):
        assert _pids(paths) == []


def test_foreign_program_in_the_folder_is_ignored(tmp_path: Path) -> None:
    paths = _places(tmp_path)
    with _sleeping("sleep", "60", cwd=paths.parts):
        assert _pids(paths) == []


def test_our_program_in_the_folder_is_a_leftover(tmp_path: Path) -> None:
    paths = _places(tmp_path)
    with _sleeping(VENV_PYTHON, "-c", "import time; time.sleep(60)", cwd=paths.parts) as pid:
        assert _pids(paths) == [pid]


def test_zombie_is_ignored(tmp_path: Path) -> None:
    paths = _places(tmp_path)
    with _sleeping("true", cwd=paths.parts, mark=str(paths.root)) as pid:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert _pids(paths) == []
