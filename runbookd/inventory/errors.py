"""Errors in the inventory, for the reader who edits the file."""

from dataclasses import dataclass


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
