"""Reads the inventory from a YAML file and variables, or from DATABASE_URL and REDIS_URL."""

import re
import types
import typing
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from runbookd.inventory.errors import InventoryError, Problem
from runbookd.inventory.model import Inventory
from runbookd.inventory.suggest import suggest
from runbookd.inventory.words import problem_text, yaml_problem
from runbookd.text_files import read_text_file

OVERRIDE_PREFIX = "RUNBOOK__"
# Keys are names, queues, prefixes of keys and options.
_SHOWN_KEY = re.compile(r"[\w.:*{} -]{1,100}")
KeyPath = tuple[str | int, ...]
KeyPlaces = dict[KeyPath, str]
B = typing.TypeVar("B", bound=BaseModel)


def load_inventory(file: Path | None, environ: Mapping[str, str]) -> Inventory | None:
    """Load the inventory; return None if neither file nor environment configures a target.

    A variable such as RUNBOOK__STACKS__SHOP__POSTGRES__MAIN__DSN replaces one value of the file. Without a file,
    DATABASE_URL and REDIS_URL define one stack named `default`.

    Raises:
        InventoryError: lists every problem with its file and line, or its variable.
    """
    places: KeyPlaces = {}
    data = _read(file, places) if file else _from_urls(environ, places)
    _override(data, environ, places)
    if not data and file is None:
        return None
    return _validate(Inventory, data, places, str(file or "environment"))


def read_block(file: Path, kind: type[B]) -> B:
    """Load another YAML file, which holds one block of type `kind`.

    Raises:
        InventoryError: lists every problem with its line.
    """
    places: KeyPlaces = {}
    return _validate(kind, _read(file, places), places, str(file))


def place_of(path: tuple[str, ...], file: Path | None, environ: Mapping[str, str]) -> str:
    """Return the `file:line` or the variable that sets the key `path` of a usable inventory.

    Raises:
        InventoryError: the file is no longer readable.
    """
    places: KeyPlaces = {}
    data = _read(file, places) if file else _from_urls(environ, places)
    _override(data, environ, places)
    return _place(path, places, str(file or "environment"))


def _validate(kind: type[B], data: object, places: KeyPlaces, source: str) -> B:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InventoryError([_problem(detail, places, source, kind) for detail in error.errors()]) from None


def _read(file: Path, places: KeyPlaces) -> dict[str, Any]:
    try:
        text = read_text_file(file)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise InventoryError([Problem(str(file), "", f"cannot read the file: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise InventoryError([Problem(str(file), "", "is not UTF-8 text")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InventoryError([Problem(f"{file}:{mark.line + 1 if mark else 1}", "", yaml_problem(error))]) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InventoryError([Problem(f"{file}:1", "", "must be a map of keys")])
    duplicates: list[Problem] = []
    _record_places(node, (), str(file), places, duplicates)
    if duplicates:
        raise InventoryError(duplicates)
    return data


def _record_places(
    node: yaml.Node | None, path: KeyPath, file: str, places: KeyPlaces, duplicates: list[Problem]
) -> None:
    """Record the line of every key, and duplicates, of which YAML silently keeps the last."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[Hashable] = set()
    for key, value in node.value:
        key_path = (*path, key.value)
        places[key_path] = f"{file}:{key.start_mark.line + 1}"
        if key.value in seen:
            duplicates.append(Problem(places[key_path], _dotted(key_path), "duplicate key; keep one"))
        seen.add(key.value)
        _record_places(value, key_path, file, places, duplicates)


def _from_urls(environ: Mapping[str, str], places: KeyPlaces) -> dict[str, Any]:
    stack: dict[str, Any] = {}
    if environ.get("DATABASE_URL"):
        stack["postgres"] = {"main": {"dsn": environ["DATABASE_URL"]}}
        places["stacks", "default", "postgres"] = "DATABASE_URL"
    if environ.get("REDIS_URL"):
        stack["redis"] = {"main": {"url": environ["REDIS_URL"]}}
        stack["queues"] = {"main": {"redis": "main"}}
        places["stacks", "default", "redis"] = places["stacks", "default", "queues"] = "REDIS_URL"
    return {"stacks": {"default": stack}} if stack else {}


def _override(data: dict[str, Any], environ: Mapping[str, str], places: KeyPlaces) -> None:
    for variable in sorted(environ):
        if not variable.startswith(OVERRIDE_PREFIX):
            continue
        path: KeyPath = tuple(part.lower() for part in variable.removeprefix(OVERRIDE_PREFIX).split("__"))
        places[path] = variable
        _put(data, path, environ[variable], variable)


def _put(data: dict[str, Any], path: KeyPath, text: str, variable: str) -> None:
    *parents, last = path
    block = data
    for part in parents:
        inner = block.setdefault(str(part), {})
        if not isinstance(inner, dict):
            raise InventoryError(
                [
                    Problem(
                        variable,
                        _dotted(path),
                        f"{part!r} is a single value and has no keys; check the variable's name",
                    )
                ]
            )
        block = inner
    # Only lists and maps are read as YAML: a password of digits must stay a text.
    try:
        block[str(last)] = yaml.safe_load(text) if text.startswith(("[", "{")) else text
    except yaml.YAMLError as error:
        raise InventoryError([Problem(variable, _dotted(path), yaml_problem(error))]) from None


def _problem(detail: ErrorDetails, places: KeyPlaces, source: str, kind: type[BaseModel]) -> Problem:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    reason = problem_text(detail)
    if detail["type"] == "extra_forbidden":
        reason = "unknown key" + suggest(str(path[-1]), _keys_at(path[:-1], kind), "known here:")
    return Problem(_place(path, places, source), _dotted(path), reason)


def _place(path: KeyPath, places: KeyPlaces, source: str) -> str:
    """Return the line of the key, or else of the closest block around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return source


def _keys_at(path: KeyPath, kind: Any) -> Iterable[str]:
    """Return the keys that the model `kind` accepts at `path`."""
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = _fields_of(kind)
            if part not in fields:
                return ()
            kind = _block_type(fields[str(part)].annotation)
        else:
            kind = _block_type(typing.get_args(kind)[-1])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return list(_fields_of(kind))
    return ()


def _fields_of(kind: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Return the fields of a block by key, also those of its variants."""
    variants = (kind, *kind.__subclasses__())
    return {field.alias or name: field for variant in variants for name, field in variant.model_fields.items()}


def _block_type(annotation: Any) -> Any:
    """Return the model or the map inside an optional annotation."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        inner = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
        return inner[0] if len(inner) == 1 else annotation
    return annotation


def _dotted(path: KeyPath) -> str:
    """Return the keys of a path; an address that stands in place of a key may hold a password."""
    return ".".join(part if _SHOWN_KEY.fullmatch(part) else "…" for part in map(str, path))
