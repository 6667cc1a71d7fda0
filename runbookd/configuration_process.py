"""Reads flags and inventory in a process of its own, so that the one that serves does without pydantic: 15 MiB less.

Both share an anonymous piece of memory: the parent puts its flags and its environment there, the child what it read. So
no secret gets into a file, a command line or the environment of the child, which ends before the parent serves.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from runbookd.inventory import Inventory, Problem
    from runbookd.service.address import ListenAddress

MAX_SECONDS = 60.0
# The variables that may be secrets: the child gets them in memory.
_INVENTORY_VARIABLES = ("RUNBOOK_", "DATABASE_URL", "REDIS_URL")


@dataclass(frozen=True)
class Configuration:
    """The flags with which a daemon serves, and the inventory."""

    log_level: str
    log_format: str
    address: "ListenAddress"
    web_config: Path | None
    inventory: "Inventory | None"


Outcome = Configuration | tuple["Problem", ...]
"""The configuration, or else the problems of the inventory."""


class ReadingFailed(Exception):
    """The child did not say what it read. `code` is its exit code; below 0, the signal that ended it."""

    def __init__(self, what: str, code: int = 0) -> None:
        super().__init__(f"cannot read the inventory: its process {what}; try again")
        self.code = code


class ConfigurationReading:
    """A child that runs the module `module`, which reads with `receive` and `answer`.

    Raises:
        ReadingFailed: it cannot start.
    """

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self._memory = os.fdopen(os.memfd_create("configuration"), "r+b")
        _write(self._memory, (list(arguments), dict(os.environ)))
        number = self._memory.fileno()
        command = [sys.executable, "-P", "-m", module, str(number)]
        try:
            self._process = subprocess.Popen(command, env=_environment(), stdin=subprocess.DEVNULL, pass_fds=[number])
        except OSError as error:
            self._memory.close()
            raise ReadingFailed(f"cannot start ({error.strerror})") from None

    def outcome(self) -> Outcome | None:
        """Wait for the child; return None if its output was all that was wanted, as for --help.

        Raises:
            ReadingFailed: it failed, took too long, or answered something else.
        """
        with self._memory:
            if code := self._wait():
                raise ReadingFailed(f"was ended by signal {-code}" if code < 0 else f"ended with code {code}", code)
            self._memory.seek(0)
            return _outcome(self._memory.read())

    def _wait(self) -> int:
        try:
            return self._process.wait(MAX_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise ReadingFailed(f"took more than {MAX_SECONDS:.0f} s") from None


def receive(number: int) -> tuple[list[str], BinaryIO]:
    """Take over the parent's environment, in the child; return its flags, and where to `answer`."""
    memory = os.fdopen(number, "r+b")
    memory.seek(0)
    arguments, environment = pickle.load(memory)  # noqa: S301 - from the parent
    os.environ.update(environment)
    memory.truncate(0)
    return arguments, memory


def answer(memory: BinaryIO, outcome: Outcome) -> None:
    """Tell the parent what was read."""
    _write(memory, outcome)


def _write(memory: BinaryIO, content: object) -> None:
    memory.seek(0)
    pickle.dump(content, memory)
    memory.flush()


def _outcome(content: bytes) -> Outcome | None:
    try:
        found = pickle.loads(content) if content else None  # noqa: S301 - from the child, which runs the same code
    except Exception:  # an unpickler raises whatever the bytes make it call
        found = content
    if found is not None and not isinstance(found, Configuration | tuple):
        raise ReadingFailed("answered something else than an inventory")
    return found


def _environment() -> dict[str, str]:
    """Return the child's environment: its modules are those of this process, and the rest comes in memory."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(_INVENTORY_VARIABLES)}
    return {**plain, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
