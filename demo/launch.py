"""Starts the demo's own programs, and finds recorded processes again."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.paths import CHECKOUT, DemoPaths
from demo.servers.http import answers_ok
from demo.servers.process import Launch, Process
from demo.servers.server import Server


class Program(Server):
    """A part that is one command and answers 200 at its path `health`."""

    def __init__(self, folder: Path, port: int, launch: Launch, health: str) -> None:
        self.name = folder.name
        super().__init__(folder, port)
        self._launch = launch
        self._health = f"http://127.0.0.1:{port}{health}"

    def prepare(self) -> Launch:
        """Return the command; there is nothing to prepare."""
        return self._launch

    def answers(self) -> bool:
        """Return whether the health path answers 200."""
        return answers_ok(self._health)


def launch_command(arguments: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None) -> Launch:
    """Return a command that runs in `cwd`, which it creates, with `env` as further variables."""
    cwd.mkdir(parents=True, exist_ok=True)
    return Launch(arguments, env={**os.environ, **(env or {})}, cwd=cwd)


def python_module(module: str, *arguments: str, cwd: Path) -> Launch:
    """Return the command for a module of the checkout, which is on PYTHONPATH, not installed."""
    return launch_command([sys.executable, "-m", module, *arguments], cwd, {"PYTHONPATH": str(CHECKOUT)})


def recorded_processes(paths: DemoPaths) -> list[Process]:
    """Return every process that was started and not stopped, by this or another command."""
    return [Process(record.parent, record.stem) for record in sorted(paths.parts.glob("*/*.pid"))]
