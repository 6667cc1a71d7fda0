"""How the demo's own parts are started, and how whatever was started is found again."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.paths import CHECKOUT, DemoPaths
from demo.servers.http import answers_ok
from demo.servers.process import Launch, Process
from demo.servers.server import Server


class Program(Server):
    """A part that is one command and answers 200 at `health`, a path below its own address."""

    def __init__(self, folder: Path, port: int, launch: Launch, health: str) -> None:
        self.name = folder.name
        super().__init__(folder, port)
        self._launch = launch
        self._health = f"http://127.0.0.1:{port}{health}"

    def prepare(self) -> Launch:
        return self._launch

    def answers(self) -> bool:
        return answers_ok(self._health)


def launch_command(arguments: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None) -> Launch:
    """A command that works in `cwd`, with more variables in its environment."""
    cwd.mkdir(parents=True, exist_ok=True)
    return Launch(arguments, env={**os.environ, **(env or {})}, cwd=cwd)


def python_module(module: str, *arguments: str, cwd: Path) -> Launch:
    """A module of the checkout; the demo is not installed, so the module path names the checkout."""
    return launch_command([sys.executable, "-m", module, *arguments], cwd, {"PYTHONPATH": str(CHECKOUT)})


def recorded_processes(paths: DemoPaths) -> list[Process]:
    """Every process that was started and not stopped since, whoever started it and however that ended."""
    return [Process(record.parent, record.stem) for record in sorted(paths.parts.glob("*/*.pid"))]
