"""Items in a file of cases: how many, or which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetPydanticSchema
from pydantic_core import core_schema

MAX_ITEMS = 10_000
Identity = Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class ItemList:
    """A number of items, and their identities if the file names them."""

    count: int
    identities: Sequence[Identity] | None = None


def read_items(value: Any) -> ItemList:
    """Return the items that a value of the file stands for.

    Raises:
        ValueError: it is neither a number nor a list of names or identities.
    """
    if isinstance(value, ItemList):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ITEMS:
        return ItemList(value)
    if isinstance(value, list) and len(value) <= MAX_ITEMS:
        identities = [_read_identity(each) for each in value]
        if len({repr(each) for each in identities}) < len(identities):
            raise ValueError("lists an item twice; each item has its own identity")
        return ItemList(len(identities), identities)
    raise ValueError(f"must be a number from 0 to {MAX_ITEMS}, or a list of items such as [{{pid: 101}}, {{pid: 102}}]")


def _read_identity(value: Any) -> Identity:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return {"item": value}
    is_flat = isinstance(value, dict) and value and all(isinstance(each, str | int | float) for each in value.values())
    if not is_flat or not all(isinstance(key, str) for key in value):
        raise ValueError("an item is a name, or a map of keys to texts and numbers such as {pid: 101}")
    return dict(value)


PlannedItems = Annotated[
    ItemList, GetPydanticSchema(lambda _kind, _handler: core_schema.no_info_plain_validator_function(read_items))
]
