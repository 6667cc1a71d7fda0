"""Typed values that an operator may give to a command: each is checked, and written as one short text."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Literal

from runbookd.inventory.constraints import Field, StringConstraints
from runbookd.inventory.durations import format_duration, parse_duration
from runbookd.inventory.section import Section, must_hold

WORD = r"^[A-Za-z0-9][A-Za-z0-9._@:-]{0,99}$"
MAX_TEXT = 200  # characters of a value, before it is read
LARGEST_INT = 2**53  # a JSON number of any reader
Word = Annotated[str, StringConstraints(pattern=WORD)]
_INT = re.compile(r"-?[0-9]{1,17}")
_WORD = re.compile(WORD)


class CommandParameter(Section):
    """A value that an operator may set when starting a command; alerts never set one, they use `default`.

    int: a whole number. duration: as in `90s`, written as seconds. enum: one of `values`. address: an IP address.
    name: letters, digits and `. _ @ : -`. `min` and `max` limit an int or a duration.
    """

    type: Literal["int", "duration", "enum", "address", "name"]
    min: int | str | None = None
    max: int | str | None = None
    values: Annotated[tuple[Word, ...], Field(max_length=50)] = ()
    default: int | str | None = None
    help: str = ""

    @must_hold
    def _keys_fit_the_type(self) -> None:
        if (self.type == "enum") != bool(self.values):
            raise ValueError("values lists what an enum allows; type enum needs it, and no other type has it")
        if self.type not in ("int", "duration") and (self.min is not None or self.max is not None):
            raise ValueError(f"min and max limit an int or a duration; remove them from type {self.type}")
        for key in ("min", "max", "default"):
            if (value := getattr(self, key)) is not None:
                try:
                    self.text_of(value) if key == "default" else self._limit(value)
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from None

    def text_of(self, value: object) -> str:
        """Return a value, typed or as text, as the text that takes the place of its placeholder.

        Raises:
            ValueError: it is no value of this type, or is beyond `min` and `max`.
        """
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise ValueError(f"has {len(value)} characters; a value has at most {MAX_TEXT}")
        return _WRITERS[self.type](self, value)

    def meaning(self) -> str:
        """Return `help`, or else what is allowed."""
        allowed = f"one of {', '.join(self.values)}" if self.type == "enum" else f"type {self.type}"
        return self.help or allowed

    def written(self, text: str) -> str:
        """Return the text of a value as an operator would write it."""
        return format_duration(timedelta(seconds=int(text))) if self.type == "duration" else text

    def extremes(self) -> list[str]:
        """Return the values that may begin with another character than a letter or digit."""
        return list(self.values) if self.type == "enum" else [str(self._lowest())] if self.type == "int" else []

    def _lowest(self) -> int:
        return -LARGEST_INT if self.min is None else self._limit(self.min)

    def _limit(self, value: object) -> int:
        return _read_int(value) if self.type == "int" else _read_seconds(value)

    def within_limits(self, number: int) -> str:
        """Return `number` as text.

        Raises:
            ValueError: it is beyond `min` or `max`.
        """
        low = self._lowest() if self.type == "int" else 0 if self.min is None else self._limit(self.min)
        high = LARGEST_INT if self.max is None else self._limit(self.max)
        if not low <= number <= high:
            raise ValueError(f"must be from {self._shown(low)} to {self._shown(high)}")
        return str(number)

    def _shown(self, number: int) -> str:
        return str(number) if self.type == "int" else format_duration(timedelta(seconds=min(number, 10**9)))


def _read_int(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INT.fullmatch(value):
        return int(value)
    raise ValueError("must be a whole number")


def _read_seconds(value: object) -> int:
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, str):
        return int(parse_duration(value).total_seconds())
    raise ValueError("must be a duration such as 90s, 5m or 24h")


def _write_enum(parameter: CommandParameter, value: object) -> str:
    if isinstance(value, str) and value in parameter.values:
        return value
    raise ValueError(f"must be one of {', '.join(parameter.values)}")


def _write_address(_: CommandParameter, value: object) -> str:
    try:
        address = ipaddress.ip_address(str(value))
    except ValueError:
        raise ValueError("must be an IP address such as 192.0.2.7 or 2001:db8::7") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise ValueError("must be an IP address without a zone (%)")
    return str(address)


def _write_name(_: CommandParameter, value: object) -> str:
    if isinstance(value, str) and _WORD.fullmatch(value) and not value.endswith("\n"):
        return value
    raise ValueError("must be 1 to 100 letters, digits and . _ @ : -, and begin with a letter or digit")


_WRITERS: Mapping[str, Callable[[CommandParameter, object], str]] = {
    "int": lambda parameter, value: parameter.within_limits(_read_int(value)),
    "duration": lambda parameter, value: parameter.within_limits(_read_seconds(value)),
    "enum": _write_enum,
    "address": _write_address,
    "name": _write_name,
}
