"""tests/invariants/catalogue/*.yml: what never happens, the guards that see to it, and the tests that watch them.

A guard is told by the text that would be gone without it, and by what would stand there instead. Each of the tests it
names has to turn red then (`python -m tests.invariants.mutants`); docs/invariants.md is written from the same files.
"""

from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "catalogue"


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Guard(_Block):
    """One guard: in which words, where, and what is missing where it is taken out; `bound` names the bound it is."""

    guard: str
    file: str
    old: Annotated[str, Field(min_length=1)]
    new: str = ""
    red: Annotated[tuple[str, ...], Field(min_length=1)]
    bound: str = ""

    def spoiled(self, text: str) -> str:
        """`text` of its file, without the guard.

        Raises ValueError where it does not stand there exactly once.
        """
        if (found := text.count(self.old)) != 1:
            raise ValueError(f"{self.file}: {self.guard!r} stands there {found} times, not once: {self.old!r}")
        return text.replace(self.old, self.new)


class Invariant(_Block):
    """What never happens, in a sentence, and all that keeps it so."""

    number: int
    says: str
    guards: Annotated[tuple[Guard, ...], Field(min_length=1)]


_INVARIANT = TypeAdapter(Invariant)


@cache
def invariants() -> tuple[Invariant, ...]:
    """All of them, by number; raises what yaml or pydantic says of a file that can not be read."""
    read = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in FOLDER.glob("*.yml"))
    return tuple(sorted(map(_INVARIANT.validate_python, read), key=lambda each: each.number))
