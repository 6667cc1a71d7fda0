"""Errors of the inventory, worded for the person who wrote the file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the inventory.

    `place` is `file:line` or the environment variable; `path` is the dotted key; `reason` says what is wrong and
    what to do about it.
    """

    place: str
    path: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.path, self.reason) if part)


class InventoryError(Exception):
    """The inventory can not be used. Lists every problem at once, so that one round of editing is enough."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class SecretError(Exception):
    """A secret can not be read. Names the key and the file, never the content."""
