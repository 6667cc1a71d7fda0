"""The secret files that an inventory names."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from runbookd.inventory.section import Section


def secret_files(section: Section) -> Iterator[tuple[str, Path]]:
    """Yield the place and the path of each `…_file` in `section` and below it."""
    for each in fields(section):
        yield from _files_of(each.name, getattr(section, each.name))


def _files_of(place: str, value: Any) -> Iterator[tuple[str, Path]]:
    if isinstance(value, Path) and place.endswith("_file"):
        yield place, value
    elif isinstance(value, Section):
        yield from ((f"{place}.{below}", path) for below, path in secret_files(value))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _files_of(f"{place}.{name}", each)
