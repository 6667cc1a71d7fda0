"""Reads a YAML file together with the line of each of its keys and entries of lists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbookd.inventory.errors import InventoryError, Problem
from runbookd.inventory.words import yaml_problem
from runbookd.text_files import read_text_file

if TYPE_CHECKING:
    import yaml

# Keys are names, queues, prefixes of keys and options.
_SHOWN_KEY = re.compile(r"[\w.:*{} -]{1,100}")
KeyPath = tuple[str | int, ...]
KeyPlaces = dict[KeyPath, str]


def read_yaml(file: Path, places: KeyPlaces) -> dict[str, Any]:
    """Return the map in `file`, and add the line of each key and entry to `places`.

    Raises:
        InventoryError: it cannot be read, is not a map, or has a key twice, of which YAML silently keeps the last.
    """
    import yaml

    from runbookd.yaml_text import compose_yaml, load_yaml

    try:
        text = read_text_file(file)
        node, data = compose_yaml(text), load_yaml(text)
    except OSError as error:
        remedy = "make it readable by this user" if isinstance(error, PermissionError) else "check its path"
        raise InventoryError([Problem(str(file), "", f"cannot read the file: {error.strerror}; {remedy}")]) from None
    except UnicodeDecodeError:
        raise InventoryError([Problem(str(file), "", "is not UTF-8 text")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InventoryError([Problem(f"{file}:{mark.line + 1 if mark else 1}", "", yaml_problem(error))]) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InventoryError([Problem(f"{file}:1", "", "must be a map of keys")])
    problems = list(_record_places(node, (), str(file), places, ()))
    if problems:
        raise InventoryError(problems)
    return data


def place_at(path: KeyPath, places: KeyPlaces, source: str) -> str:
    """Return the line of the key, or else of the closest block around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return source


def dotted(path: KeyPath) -> str:
    """Return the keys of a path; an address that stands in place of a key may hold a password."""
    return ".".join(part if _SHOWN_KEY.fullmatch(part) else "…" for part in map(str, path))


def _record_places(
    node: "yaml.Node | None", path: KeyPath, file: str, places: KeyPlaces, around: tuple["yaml.Node", ...]
) -> Iterator[Problem]:
    """Record the line of every key and entry; yield duplicate keys, and what holds itself."""
    if node is None or isinstance(node.value, str):  # nothing, or a scalar
        return
    if any(node is each for each in around):
        yield Problem(place_at(path, places, file), dotted(path), "holds itself by its alias; write it out")
        return
    seen: set[KeyPath] = set()
    for key_path, line, value in _entries(node, path):
        places[key_path] = f"{file}:{line + 1}"
        if key_path in seen:
            yield Problem(places[key_path], dotted(key_path), "duplicate key; keep one")
        seen.add(key_path)
        yield from _record_places(value, key_path, file, places, (*around, node))


def _entries(node: "yaml.Node", path: KeyPath) -> Iterator[tuple[KeyPath, int, "yaml.Node"]]:
    """Yield the path of each key or entry, its line from 0, and its value."""
    for number, entry in enumerate(node.value):
        if isinstance(entry, tuple):  # of a map
            key, value = entry
            yield (*path, key.value), key.start_mark.line, value
        else:
            yield (*path, number), entry.start_mark.line, entry
