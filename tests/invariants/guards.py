"""tests/invariants/catalogue/*.yml: what never happens, the guards that see to it, and the tests that watch them.

A guard names the code that would be gone without it, and the code that would replace it. Each of its tests has to turn
red then (`python -m tests.invariants.mutants`). docs/reference/invariants.md is generated from the same files.
"""

from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tests.invariants.code_pattern import replace_code

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "catalogue"


class _CatalogueEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Guard(_CatalogueEntry):
    """One guard of an invariant, and the tests that turn red without it.

    In a Python file, `old` is a code pattern inside `symbol` and `new` the code that replaces it (see code_pattern.py).
    In any other file both are exact text, and `symbol` is empty. `bound` is the name of the bound that the guard is.
    """

    guard: str
    bound: str = ""
    file: str
    symbol: str = ""
    old: Annotated[str, Field(min_length=1)]
    new: str = ""
    red: Annotated[tuple[str, ...], Field(min_length=1)]

    def remove_from(self, text: str) -> str:
        """Return the text of its file without the guard.

        Raises ValueError unless the guard matches exactly once.
        """
        try:
            if self.file.endswith(".py"):
                return replace_code(text, self.symbol, self.old, self.new)
            return _replace_text(text, self.old, self.new)
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{self.file}: {self.guard!r}: {error}") from error


def _replace_text(text: str, old: str, new: str) -> str:
    if (count := text.count(old)) != 1:
        raise ValueError(f"{count} matches, not one: {old!r}")
    return text.replace(old, new)


class Invariant(_CatalogueEntry):
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
