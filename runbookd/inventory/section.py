"""The building blocks of the inventory model: sections, names and time zones.

A section is a dataclass of the standard library. pydantic reads its annotations and checks when data is validated, and
is imported only then: a process that gets an inventory from another one does without it.
"""

import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from runbookd.inventory.constraints import AfterValidator, Alias, StringConstraints

if TYPE_CHECKING:
    from pydantic import TypeAdapter

NAME = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
Check = TypeVar("Check", bound=Callable[[Any], None])
_IS_CHECK = "is_check"
_GIVEN = "_given"
_VALIDATORS: "dict[Any, TypeAdapter[Any]]" = {}


def must_hold(method: Check) -> Check:
    """Mark a method of a section that raises ValueError if its values do not fit together."""
    method.__dict__[_IS_CHECK] = True
    return method


@typing.dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Section:
    """A block of the inventory: immutable, without unknown keys. Every subclass is a dataclass of its keys."""

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Any]]

    _aliases: ClassVar[Mapping[str, str]] = {}
    _checks: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, unknown_keys: Literal["forbid", "ignore"] = "forbid") -> None:
        own_checks = (name for name, member in vars(cls).items() if getattr(member, _IS_CHECK, False))
        cls._checks = tuple(dict.fromkeys((*cls._checks, *own_checks)))
        config = {"extra": unknown_keys, "alias_generator": partial(key_of_field, cls)}
        cls.__pydantic_config__ = config  # type: ignore[attr-defined]  # pydantic reads it
        dataclass(frozen=True, kw_only=True)(cls)
        cls._aliases = dict(_aliases(cls))

    def __post_init__(self) -> None:
        for name in self._checks:
            getattr(self, name)()

    @classmethod
    def model_validate(cls, data: Any) -> Self:
        """Return `data`, a map of keys, as a section.

        Raises:
            pydantic.ValidationError: a value is wrong.
        """
        section: Self = validator(cls).validate_python(data)
        return section

    def model_copy(self, update: Mapping[str, Any]) -> Self:
        """Return a copy with other values of some fields, unchecked."""
        copied = object.__new__(type(self))
        vars(copied).update({**vars(self), **update})
        return copied

    @classmethod
    def _read(cls, data: Any, validate: Callable[[Any], Any]) -> Any:
        """Return the section of `data`; a subclass may look at the data before."""
        section = validate(data)
        if isinstance(data, Mapping):
            vars(section)[_GIVEN] = frozenset(map(str, data))
        return section

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_wrap_validator_function(cls._read, handler(source))


def key_of_field(kind: type[Section], name: str) -> str:
    """Return the key of a field."""
    return kind._aliases.get(name, name)


def annotations_by_key(kind: type[Section]) -> Mapping[str, Any]:
    """Return the keys of a section with their annotations."""
    return {key_of_field(kind, each.name): each.type for each in fields(kind)}


def given_keys(section: Section) -> frozenset[str]:
    """Return the keys that the data of a section had; the others took their defaults."""
    return frozenset(vars(section).get(_GIVEN, ()))


def values_as_json(section: Section) -> dict[str, Any]:
    """Return the values of a section by their fields, as JSON has them, with secrets masked."""
    values: dict[str, Any] = validator(type(section)).dump_python(section, mode="json")
    return values


def _aliases(kind: type[Section]) -> Iterator[tuple[str, str]]:
    for each in fields(kind):
        for note in getattr(each.type, "__metadata__", ()):
            if isinstance(note, Alias):
                yield each.name, note


def validator(kind: Any) -> "TypeAdapter[Any]":
    """Return pydantic's validator of a type; it is built once."""
    from pydantic import TypeAdapter

    if kind not in _VALIDATORS:
        _VALIDATORS[kind] = TypeAdapter(kind)
    return _VALIDATORS[kind]


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{name!r} is not an IANA time zone such as UTC or Europe/Berlin") from None
    return name


Zone = Annotated[str, AfterValidator(_check_zone)]


def at_most_one_source(block: Section, *keys: str) -> None:
    """Raise ValueError if both a secret and its `…_file` are set."""
    for key in keys:
        if getattr(block, key) is not None and getattr(block, f"{key}_file") is not None:
            raise ValueError(f"{key} and {key}_file are both set; keep one")
