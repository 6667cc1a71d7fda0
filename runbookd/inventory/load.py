"""Reads the inventory from a YAML file and variables, or from DATABASE_URL and REDIS_URL."""

import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from runbookd.inventory.errors import InventoryError, Problem
from runbookd.inventory.model import Inventory
from runbookd.inventory.section import Section, annotations_by_key, validator
from runbookd.inventory.suggest import suggest
from runbookd.inventory.words import problem_text, yaml_problem
from runbookd.inventory.yaml_places import KeyPath, KeyPlaces, dotted, place_at, read_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

OVERRIDE_PREFIX = "RUNBOOK__"
B = typing.TypeVar("B")


@dataclass(frozen=True)
class Change:
    """A key of the inventory that is to have another value, and the place that says so, for errors."""

    path: tuple[str, ...]
    value: object
    place: str


@dataclass(frozen=True)
class PlacedBlock(Generic[B]):
    """A block that was read from a file, with the lines of its keys and entries."""

    block: B
    file: Path
    places: KeyPlaces

    def place_of(self, *path: str | int) -> str:
        """Return the `file:line` of a key or entry, or else of the closest block around it."""
        return place_at(path, self.places, str(self.file))

    def problem(self, path: KeyPath, reason: str) -> Problem:
        """Return a problem of the key or entry `path`."""
        return Problem(self.place_of(*path), dotted(path), reason)


def load_inventory(file: Path | None, environ: Mapping[str, str], changes: Sequence[Change] = ()) -> Inventory | None:
    """Load the inventory; return None if neither file nor environment configures a target.

    A variable such as RUNBOOK__STACKS__SHOP__POSTGRES__MAIN__DSN replaces one value of the file. Without a file,
    DATABASE_URL and REDIS_URL define one stack named `default`. Each of `changes` then replaces one value.

    Raises:
        InventoryError: lists every problem with its file and line, its variable, or the place of its change.
    """
    places: KeyPlaces = {}
    data = read_yaml(file, places) if file else _from_urls(environ, places)
    _override(data, environ, places)
    if not data and file is None:
        return None
    for change in changes:
        _put(data, change.path, change.value, change.place)
        for length in range(1, len(change.path)):  # blocks that the file does not have
            places.setdefault(change.path[:length], change.place)
        places[change.path] = change.place
    return _validate(Inventory, data, places, str(file or "environment"))


def read_block(file: Path, kind: type[B]) -> B:
    """Load another YAML file, which holds one block of type `kind`.

    Raises:
        InventoryError: lists every problem with its line.
    """
    return read_placed_block(file, kind).block


def read_placed_block(file: Path, kind: type[B]) -> PlacedBlock[B]:
    """Load another YAML file, which holds one block of type `kind`, and keep its lines.

    Raises:
        InventoryError: lists every problem with its line.
    """
    places: KeyPlaces = {}
    return PlacedBlock(_validate(kind, read_yaml(file, places), places, str(file)), file, places)


def place_of(path: tuple[str, ...], file: Path | None, environ: Mapping[str, str]) -> str:
    """Return the `file:line` or the variable that sets the key `path` of a usable inventory.

    Raises:
        InventoryError: the file is no longer readable.
    """
    places: KeyPlaces = {}
    data = read_yaml(file, places) if file else _from_urls(environ, places)
    _override(data, environ, places)
    return place_at(path, places, str(file or "environment"))


def _validate(kind: type[B], data: object, places: KeyPlaces, source: str) -> B:
    from pydantic import ValidationError

    try:
        block: B = validator(kind).validate_python(data)
        return block
    except ValidationError as error:
        details = _causes(error.errors())
        raise InventoryError([_problem(detail, places, source, kind) for detail in details]) from None


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
        path = tuple(part.lower() for part in variable.removeprefix(OVERRIDE_PREFIX).split("__"))
        places[path] = variable
        _put(data, path, read_value(environ[variable], variable, path), variable)


def read_value(text: str, place: str, path: tuple[str, ...]) -> object:
    """Return the value that `text` outside of a file stands for.

    Only lists and maps are read as YAML: a password of digits must stay a text.

    Raises:
        InventoryError: the text is not YAML.
    """
    import yaml

    try:
        return yaml.safe_load(text) if text.startswith(("[", "{")) else text
    except yaml.YAMLError as error:
        raise InventoryError([Problem(place, dotted(path), yaml_problem(error))]) from None


def _put(data: dict[str, Any], path: tuple[str, ...], value: object, place: str) -> None:
    *parents, last = path
    block = data
    for part in parents:
        inner = block.setdefault(part, {})
        if not isinstance(inner, dict):
            reason = f"{part!r} is a single value and has no keys; check the name of the key"
            raise InventoryError([Problem(place, dotted(path), reason)])
        block = inner
    block[last] = value


def _causes(details: Sequence["ErrorDetails"]) -> "list[ErrorDetails]":
    """Return the problems without those of lists that count as empty only because their entries are wrong."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(place != detail["loc"] and place[: len(detail["loc"])] == detail["loc"] for place in places)
    ]


def _problem(detail: "ErrorDetails", places: KeyPlaces, source: str, kind: type) -> Problem:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    reason = problem_text(detail)
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        # A key of a variant may be the unknown one here.
        others = [key for key in _keys_at(path[:-1], kind) if key != path[-1]]
        reason = "unknown key" + suggest(str(path[-1]), others, "known here:")
    return Problem(place_at(path, places, source), dotted(path), reason)


def _keys_at(path: KeyPath, kind: Any) -> Iterable[str]:
    """Return the keys that the model `kind` accepts at `path`."""
    for part in path:
        if keys := _keys_of(kind):
            if part not in keys:
                return ()
            kind = _block_type(keys[str(part)])
        elif not (arguments := typing.get_args(kind)):
            return ()
        else:
            kind = _block_type(arguments[0] if isinstance(part, int) else arguments[-1])
    return list(_keys_of(kind))


def _keys_of(kind: Any) -> Mapping[str, Any]:
    """Return the annotations of a block by key, also those of its variants; nothing if `kind` is no block."""
    if not isinstance(kind, type):
        return {}
    variants = (kind, *kind.__subclasses__())
    return {key: annotation for variant in variants for key, annotation in _own_keys_of(variant).items()}


def _own_keys_of(kind: Any) -> Mapping[str, Any]:
    if issubclass(kind, Section):
        return annotations_by_key(kind)
    return {field.alias or name: field.annotation for name, field in getattr(kind, "model_fields", {}).items()}


def _block_type(annotation: Any) -> Any:
    """Return the model or the map inside an optional annotation, without its constraints."""
    if typing.get_origin(annotation) is typing.Annotated:
        return typing.get_args(annotation)[0]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        inner = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
        return inner[0] if len(inner) == 1 else annotation
    return annotation
