"""Read tests/invariants/catalogue/*.yml: the invariants, their guards, and the tests of each guard.

A guard names its code and the code that replaces it when the guard is removed. Then each of its tests must fail
(`python -m tests.invariants.mutants`). docs/reference/invariants.md is generated from the same files.
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
    """A guard of an invariant, with the tests that fail without it.

    In a Python file, `old` is a code pattern inside `symbol` and `new` the code that replaces it (see code_pattern.py).
    In any other file both are exact text, and `symbol` is empty. `bound` names the bound that is the guard.
    """

    guard: str
    bound: str = ""
    file: str
    symbol: str = ""
    old: Annotated[str, Field(min_length=1)]
    new: str = ""
    red: Annotated[tuple[str, ...], Field(min_length=1)]

    def remove_from(self, text: str) -> str:
        """Return the text of its file with the guard removed.

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
    """A sentence that always holds, and the guards that ensure it."""

    number: int
    says: str
    guards: Annotated[tuple[Guard, ...], Field(min_length=1)]


_INVARIANT = TypeAdapter(Invariant)


@cache
def invariants() -> tuple[Invariant, ...]:
    """Return all invariants by number.

    Raises yaml.YAMLError or pydantic.ValidationError for an invalid file.
    """
    read = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in FOLDER.glob("*.yml"))
    return tuple(sorted(map(_INVARIANT.validate_python, read), key=lambda each: each.number))
