"""docs/reference/coverage/<stack>.yml: what answers each row of a runbook.

A row is one fact of a runbook that somebody watches, decides or does. A file maps the runbook's sections to the ids of
their rows, and these to pointers: `{metric: [pg_up], alert: [DatabaseDown]}`. `traps` counts what is wrong or dangerous
in the row; docs/explanation/runbook-review.md has an answer to each.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from tools.docs import REFERENCE

FOLDER = REFERENCE / "coverage"

Pointers = Annotated[tuple[str, ...], Field(min_length=1)]


class Answers(BaseModel):
    """Names of what answers a row, by kind. `planned` beside others: they answer a part of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Pointers = ()
    alert: Pointers = ()
    panel: Pointers = ()
    remediation: Pointers = ()
    people: Pointers = ()
    outside: Pointers = ()
    planned: Pointers = ()
    traps: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _answered(self) -> Self:
        if not any(pointers for _, pointers in self.pointers()):
            raise ValueError("nothing answers this row; name at least one pointer")
        return self

    def pointers(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield every kind with its pointers, which may be none."""
        for kind in KINDS:
            yield kind, getattr(self, kind)


KINDS = tuple(name for name in Answers.model_fields if name != "traps")


@dataclass(frozen=True)
class RunbookRow:
    """One row: the stack and the section of its runbook, its id, and what answers it."""

    stack: str
    section: str
    id: str
    answers: Answers

    @property
    def traps(self) -> tuple[str, ...]:
        """The ids of its traps: the row's own where it has one, else numbered from 1."""
        count = self.answers.traps
        return (self.id,) if count == 1 else tuple(f"{self.id}/{number + 1}" for number in range(count))


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML keeps the last one and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_FILE = TypeAdapter(dict[str, dict[str, Answers]])


def read(file: Path) -> Iterator[RunbookRow]:
    """Yield the rows of one file, in its order.

    Raises yaml.YAMLError, which names the line, or pydantic's ValidationError, which names the row.
    """
    sections = _FILE.validate_python(yaml.load(file.read_text(encoding="utf-8"), Loader=_StrictLoader))  # noqa: S506 a SafeLoader
    for section, rows in sections.items():
        for name, answers in rows.items():
            yield RunbookRow(file.stem, section, name, answers)


@cache
def covered_rows() -> tuple[RunbookRow, ...]:
    """Return the rows of all stacks."""
    return tuple(row for file in sorted(FOLDER.glob("*.yml")) for row in read(file))
