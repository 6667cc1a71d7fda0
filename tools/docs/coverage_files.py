"""Read docs/reference/coverage/<stack>.yml: the answers to each row of a runbook.

A row is one fact of a runbook that someone watches, decides or does. A file maps the sections of the runbook to the ids
of their rows, and these to pointers: `{metric: [pg_up], alert: [DatabaseDown]}`. `traps` counts the wrong or dangerous
parts of the row; docs/explanation/runbook-review.md answers each.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from runbookd.yaml_text import FastLoader, load_yaml
from tools.docs import REFERENCE

FOLDER = REFERENCE / "coverage"

Pointers = Annotated[tuple[str, ...], Field(min_length=1)]


class Answers(BaseModel):
    """The answers to a row, by kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Pointers = ()
    alert: Pointers = ()
    panel: Pointers = ()
    remediation: Pointers = ()
    duty: Pointers = ()
    window: Pointers = ()
    people: Pointers = ()
    outside: Pointers = ()
    traps: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _answered(self) -> Self:
        if not any(pointers for _, pointers in self.pointers()):
            raise ValueError("this row has no answer; add at least one pointer")
        return self

    def pointers(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield every kind with its pointers, even if it has none."""
        for kind in KINDS:
            yield kind, getattr(self, kind)


KINDS = tuple(name for name in Answers.model_fields if name != "traps")


@dataclass(frozen=True)
class RunbookRow:
    """A row: the stack and section of its runbook, its id and its answers."""

    stack: str
    section: str
    id: str
    answers: Answers

    @property
    def traps(self) -> tuple[str, ...]:
        """Return the ids of its traps: the row's own id for one trap, else numbered from 1."""
        count = self.answers.traps
        return (self.id,) if count == 1 else tuple(f"{self.id}/{number + 1}" for number in range(count))


class _StrictLoader(FastLoader):  # type: ignore[misc]
    """A loader that refuses duplicate keys; YAML would silently keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value}", key.start_mark)
            seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


_FILE = TypeAdapter(dict[str, dict[str, Answers]])


def read(file: Path) -> Iterator[RunbookRow]:
    """Yield the rows of one file, in order.

    Raises yaml.YAMLError with the line, or pydantic's ValidationError with the row.
    """
    sections = _FILE.validate_python(load_yaml(file.read_text(encoding="utf-8"), _StrictLoader))
    for section, rows in sections.items():
        for name, answers in rows.items():
            yield RunbookRow(file.stem, section, name, answers)


@cache
def covered_rows() -> tuple[RunbookRow, ...]:
    """Return the rows of all stacks."""
    return tuple(row for file in sorted(FOLDER.glob("*.yml")) for row in read(file))
