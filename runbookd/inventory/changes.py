"""The keys in which two inventories differ, without their values, which may be secrets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from runbookd.inventory.model import Inventory
from runbookd.inventory.section import Section, key_of_field


def changed_keys(before: Inventory, after: Inventory) -> Sequence[str]:
    """Return the dotted keys that were added, removed or changed; a block that is new or gone is one key."""
    return [".".join(path) for path in _changed_paths(_as_map(before), _as_map(after))]


def _as_map(value: Any) -> Any:
    """Return a section, and those in and below it, as maps of their keys."""
    if isinstance(value, Section):
        return {key_of_field(type(value), each.name): _as_map(getattr(value, each.name)) for each in fields(value)}
    return {key: _as_map(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def _changed_paths(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Iterator[tuple[str, ...]]:
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from ((str(key), *path) for path in _changed_paths(old, new))
        elif (key in before) != (key in after) or old != new:
            yield (str(key),)
