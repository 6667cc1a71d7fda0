"""An exporter that has nothing to measure says so."""

from typing import Any

import pytest

from exporter.app import build_app
from runbookd.inventory import Inventory
from runbookd.service.missing import MISSING_PARTS


@pytest.mark.parametrize(
    ("inventory", "missing"),
    [
        (None, ["an inventory"]),
        ({}, ["stacks in the inventory"]),
        ({"stacks": {"shop": {}, "mail": {}}}, ["targets in the inventory"]),
        ({"stacks": {"shop": {}, "mail": {"http": {"web": {"url": "http://127.0.0.1:1"}}}}}, []),
    ],
)
def test_missing_stacks_and_targets_are_named_with_their_meaning(inventory: Any, missing: list[str]) -> None:
    stacks = None if inventory is None else Inventory.model_validate(inventory)
    parts = list(build_app(stacks, lambda: stacks)[MISSING_PARTS])
    assert [part.what for part in parts] == missing
    assert all(part.meaning.startswith("nothing is measured; ") for part in parts)
