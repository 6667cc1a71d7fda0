"""Fills values into the argument lists and requests of the inventory, and changes nothing else of them."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from runbookd.inventory.commands import CommandTarget
from runbookd.inventory.placeholders import begins_with_placeholder, fill_in, placeholders
from runbookd.inventory.requests import Call


def arguments_of(arguments: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Return an argument list with the placeholders of each argument replaced.

    Raises:
        ValueError: a value would make a whole argument that begins with a dash.
    """
    written = [fill_in(argument, values) for argument in arguments]
    for template, argument in zip(arguments, written, strict=True):
        if begins_with_placeholder(template) and argument.startswith("-"):
            raise ValueError("a value begins with a dash, and would be read as an option")
    return written


def url_of(call: Call, values: Mapping[str, str]) -> str:
    """Return the address of a request: each value is percent-encoded within its segment of the path or query.

    Raises:
        ValueError: a value would change another part of the address.
    """
    parts = urlsplit(call.url)
    path = fill_in(parts.path, {name: quote(value, safe="") for name, value in values.items()})
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise ValueError("a value makes a segment . or .. of the path")
    query = urlencode({key: fill_in(text, values) for key, text in call.query.items()}, quote_via=quote, safe="")
    return f"{parts.scheme}://{parts.netloc}{path or '/'}{'?' if query else ''}{query}"


def json_of(value: Any, values: Mapping[str, str], entry: CommandTarget) -> Any:
    """Return a JSON value with its texts filled in; a text that is only the placeholder of an int becomes a number."""
    if isinstance(value, str):
        return _number_or_text(value, values, entry)
    if isinstance(value, Mapping):
        return {key: json_of(each, values, entry) for key, each in value.items()}
    return [json_of(each, values, entry) for each in value] if isinstance(value, list | tuple) else value


def _number_or_text(text: str, values: Mapping[str, str], entry: CommandTarget) -> str | int:
    name = next(iter(placeholders(text)), None)
    parameter = entry.parameters.get(name) if name is not None and text == f"{{{name}}}" else None
    if name is not None and parameter is not None and parameter.type in ("int", "duration"):
        return int(values[name])
    return fill_in(text, values)
