"""The typed parameters that an operator may set for a run. Alerts never set any.

A value is parsed once, by a pattern that admits no shell syntax, no path and no option. A remediation receives it
typed, and puts it only where its file says.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Protocol

from remediator.model.errors import InvalidParameter
from runbookd.inventory import format_duration, parse_duration
from runbookd.inventory.suggest import suggest

Value = int | timedelta | str
MAX_CHARACTERS = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]{0,99}")
_INTEGER = re.compile(r"-?[0-9]{1,15}")


class Parameter(Protocol):
    """The type of one parameter. `help` is one line for the operator; a required one has no default."""

    @property
    def help(self) -> str:
        """Its meaning in one line."""

    @property
    def required(self) -> bool:
        """Whether an operator has to set it."""

    def parse(self, text: str) -> Value:
        """Convert what the operator wrote; raise ValueError, whose text says what is allowed."""


@dataclass(frozen=True)
class IntParameter:
    """A whole number from `minimum` to `maximum`."""

    help: str
    minimum: int
    maximum: int
    required: bool = False

    def parse(self, text: str) -> int:
        """See Parameter."""
        if not _INTEGER.fullmatch(text) or not self.minimum <= int(text) <= self.maximum:
            raise ValueError(f"must be a whole number from {self.minimum} to {self.maximum}")
        return int(text)


@dataclass(frozen=True)
class DurationParameter:
    """A duration from `minimum` to `maximum`, written like 90s, 5m or 1h30m."""

    help: str
    minimum: timedelta
    maximum: timedelta
    required: bool = False

    def parse(self, text: str) -> timedelta:
        """See Parameter."""
        span = parse_duration(text)
        if not self.minimum <= span <= self.maximum:
            raise ValueError(f"must be from {format_duration(self.minimum)} to {format_duration(self.maximum)}")
        return span


@dataclass(frozen=True)
class EnumParameter:
    """One of `values`."""

    help: str
    values: tuple[str, ...]
    required: bool = False

    def parse(self, text: str) -> str:
        """See Parameter."""
        if text not in self.values:
            raise ValueError(f"must be one of {', '.join(self.values)}")
        return text


@dataclass(frozen=True)
class AddressParameter:
    """An IP address, version 4 or 6, without a zone: a zone may hold any characters."""

    help: str
    required: bool = False

    def parse(self, text: str) -> str:
        """See Parameter."""
        if "%" in text:
            raise ValueError("must be an IP address without a zone")
        try:
            return str(ip_address(text))
        except ValueError:
            raise ValueError("must be an IP address, like 192.0.2.7 or 2001:db8::7") from None


@dataclass(frozen=True)
class NameParameter:
    """A name: letters, digits and `._@:-`, which begins with a letter or digit."""

    help: str
    required: bool = False

    def parse(self, text: str) -> str:
        """See Parameter."""
        if not _NAME.fullmatch(text):
            raise ValueError("must be 1 to 100 letters, digits or ._@:- and begin with a letter or digit")
        return text


def parse_parameters(
    remediation: str, declared: Mapping[str, Parameter], given: Mapping[str, str]
) -> Mapping[str, Value]:
    """Return the typed values of `given`.

    Raises:
        InvalidParameter: a name is unknown, a value is not allowed, or a required parameter is missing.
    """
    if missing := [name for name, parameter in declared.items() if parameter.required and name not in given]:
        raise InvalidParameter(f"{remediation} needs the parameter {missing[0]}: {declared[missing[0]].help}")
    return {name: _parse_one(remediation, declared, name, text) for name, text in given.items()}


def _parse_one(remediation: str, declared: Mapping[str, Parameter], name: str, text: str) -> Value:
    if name not in declared:
        known = f"; it has {', '.join(declared)}" if declared else "; it has none"
        raise InvalidParameter(
            f"{remediation} has no parameter {name[:MAX_CHARACTERS]!r}{suggest(name[:MAX_CHARACTERS], declared)}{known}"
        )
    if len(text) > MAX_CHARACTERS:
        raise InvalidParameter(f"the parameter {name} has {len(text)} characters; {MAX_CHARACTERS} are allowed")
    try:
        return declared[name].parse(text)
    except ValueError as error:
        raise InvalidParameter(f"the parameter {name}: {error}") from None


def format_value(value: Value) -> str:
    """Return the one text of a value, which `parse` reads back: the ledger keeps it, and hashes cover it."""
    return format_duration(value) if isinstance(value, timedelta) else str(value)


def format_parameters(values: Mapping[str, Value]) -> dict[str, str]:
    """Return the texts of all values, sorted by name."""
    return {name: format_value(values[name]) for name in sorted(values)}
