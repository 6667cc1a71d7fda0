"""The secret files that an inventory names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel


def secret_files(section: BaseModel) -> Iterator[tuple[str, Path]]:
    """Yield the place and the path of each `…_file` in `section` and below it."""
    for name in type(section).model_fields:
        yield from _files_of(name, getattr(section, name))


def _files_of(place: str, value: Any) -> Iterator[tuple[str, Path]]:
    if isinstance(value, Path) and place.endswith("_file"):
        yield place, value
    elif isinstance(value, BaseModel):
        yield from ((f"{place}.{below}", path) for below, path in secret_files(value))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _files_of(f"{place}.{name}", each)
