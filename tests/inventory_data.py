"""An inventory as the data from which it can be read again, so that a test can change some of it."""

from dataclasses import MISSING, Field, fields
from typing import Any

from runbookd.inventory import Section
from runbookd.inventory.section import key_of_field


def data_of(value: Any) -> Any:
    """Return a section, and those in it, as maps of the keys that differ from their defaults."""
    if isinstance(value, Section):
        own = ((each, getattr(value, each.name)) for each in fields(value))
        return {key_of_field(type(value), each.name): data_of(part) for each, part in own if part != _default(each)}
    return {key: data_of(each) for key, each in value.items()} if isinstance(value, dict) else value


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()
