"""Finds a value in a JSON document, by names with dots between them or by a JSON pointer (RFC 6901)."""

from typing import Any


class NoSuchPlace(Exception):
    """The document has nothing at this place."""


def value_at(document: Any, path: str) -> Any:
    """Return the value at `path`; a number is also the position in a list.

    Raises:
        NoSuchPlace: the document has none.
    """
    value = document
    for part in _parts(path):
        match value:
            case dict() if part in value:
                value = value[part]
            case list() if part.isascii() and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            case _:
                raise NoSuchPlace(path)
    return value


def _parts(path: str) -> list[str]:
    if path.startswith("/"):
        return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    return path.split(".")
