"""Errors in the inventory, for the reader who edits the file."""

from dataclasses import dataclass
from pathlib import Path

_CREATE = "create it, readable by this user only"


@dataclass(frozen=True)
class Problem:
    """A problem in the inventory.

    `place` is `file:line` or the environment variable, `path` the dotted key, `reason` the cause and the remedy.
    """

    place: str
    path: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.path, self.reason) if part)


class InventoryError(Exception):
    """The inventory is unusable. Lists all problems, so that you can fix them in one edit."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class SecretError(Exception):
    """A secret cannot be read. Names the key and the file, never the content."""


def unreadable_secret(key: str, file: Path, error: OSError) -> SecretError:
    """Return the error of a secret's file: a command may run as another user than the daemon that it checks for."""
    is_denied = isinstance(error, PermissionError)
    remedy = "run this as its daemon's user, or let this user read it" if is_denied else _CREATE
    return SecretError(f"{key}: cannot read {file} ({error.strerror}); {remedy}")
