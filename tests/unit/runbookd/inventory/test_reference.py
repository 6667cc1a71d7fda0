"""docs/reference/inventory.md documents every key."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from runbookd.inventory import Inventory, Section, annotations_by_key

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "inventory.md").read_text(encoding="utf-8")


def keys(model: type[Section]) -> Iterator[str]:
    for variant in model.__subclasses__():
        yield from keys(variant)
    for name, annotation in annotations_by_key(model).items():
        yield name
        for inner in models_in(annotation):
            yield from keys(inner)


def models_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


@pytest.mark.parametrize("key", sorted(set(keys(Inventory))))
def test_every_inventory_key_is_documented(key: str) -> None:
    assert re.search(rf"`[^`]*\b{key}\b[^`]*`|## .*\b{key}\b|`{key}`", PAGE), (
        f"describe `{key}` in docs/reference/inventory.md"
    )
