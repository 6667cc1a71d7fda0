"""Commands and requests of your own, which `run_command` and `http_call` make exactly as the inventory writes them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from runbookd.inventory.constraints import AfterValidator, Alias, Field, StringConstraints
from runbookd.inventory.durations import Duration, format_duration
from runbookd.inventory.parameters import CommandParameter
from runbookd.inventory.placeholders import begins_with_placeholder, placeholder_problem, placeholders
from runbookd.inventory.requests import Call, Method, RequestCheck, Text, problem_of_headers
from runbookd.inventory.secrets import SecretStr
from runbookd.inventory.section import Name, Section, must_hold

INVENTORY_NAMES = ("stack", "target")
"""The placeholders that every entry has: the names of its stack and of itself."""
MAX_TIMEOUT = timedelta(hours=6)

Arguments = Annotated[tuple[Text, ...], Field(min_length=1, max_length=200)]


def _check_timeout(timeout: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= timeout <= MAX_TIMEOUT:
        raise ValueError(f"must be from 1s to {format_duration(MAX_TIMEOUT)}")
    return timeout


Timeout = Annotated[Duration, AfterValidator(_check_timeout)]


class CommandTarget(Section):
    """One entry of `commands`: a command with `argv`, or a request with `method` and `url`.

    `check` tells whether everything is as wanted already; it only reads. `undo` restores what was before; with `for`,
    a successful run is undone by itself after that time.
    """

    timeout: Timeout = timedelta(seconds=60)
    parameters: Annotated[dict[Name, CommandParameter], Field(max_length=20)] = field(default_factory=dict)
    ends_after: Annotated[Duration | None, Alias("for")] = None

    @classmethod
    def _read(cls, data: Any, validate: Callable[[Any], Any]) -> Any:
        """Read an entry by what it has: `argv`, or `url` and `method`."""
        if cls is not CommandTarget or not isinstance(data, Mapping):
            return super()._read(data, validate)
        if "argv" in data and not {"method", "url"}.isdisjoint(data):
            raise ValueError("has argv, and method or url; an entry is either a command or a request, so write two")
        if "argv" not in data and "url" not in data:
            raise ValueError("needs argv (a command) or method and url (a request)")
        return (CommandEntry if "argv" in data else RequestEntry).model_validate(data)

    @property
    def names(self) -> frozenset[str]:
        """The placeholders that the texts of this entry may have."""
        return frozenset({*INVENTORY_NAMES, *self.parameters})

    def _check_parameters(self, texts: Iterable[str]) -> None:
        used = {name for text in texts for name in placeholders(text)}
        for name in self.parameters:
            if name in INVENTORY_NAMES:
                raise ValueError(f"parameters.{name}: is the name of the {name} already; choose another name")
            if name not in used:
                raise ValueError(f"parameters.{name}: stands nowhere; write {{{name}}} at its place, or remove it")
        if self.ends_after is not None and self.ends_after < timedelta(seconds=10):
            raise ValueError("for must be at least 10s")


class CommandEntry(CommandTarget):
    """A command: a program with its arguments, without a shell. Its output is kept, masked, up to its last 16 KiB.

    `check` exits with 0 if everything is as wanted, with 1 if not; any other status means that it cannot tell.
    `environment` lists the variables of the remediator that the programs get, besides PATH and LC_ALL=C.
    """

    argv: Arguments
    check: Arguments | None = None
    undo: Arguments | None = None
    environment: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")], ...] = ()

    @must_hold
    def _texts_are_usable(self) -> None:
        for key, arguments in self.programs():
            if problem := _problem_of_arguments(arguments, self.names, self.parameters):
                raise ValueError(f"{key}: {problem}")
        self._check_parameters(argument for _, arguments in self.programs() for argument in arguments)
        if self.ends_after is not None and self.undo is None:
            raise ValueError("for needs undo, the command that ends it")

    def programs(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Return the argument lists by their keys."""
        for key in ("argv", "check", "undo"):
            if (arguments := getattr(self, key)) is not None:
                yield key, arguments


def _problem_of_arguments(
    arguments: Sequence[str], names: Collection[str], parameters: Mapping[str, CommandParameter]
) -> str | None:
    if not arguments[0].startswith("/"):
        return f"{arguments[0]!r} is not an absolute path; write the whole path of the program, as in /usr/bin/true"
    if placeholders(arguments[0]):
        return "the program's name has a placeholder; write one entry per program"
    for number, argument in enumerate(arguments):
        if "\x00" in argument:
            return f"argument {number} has a NUL character, which no program can receive; remove it"
        if problem := placeholder_problem(argument, names):
            return f"argument {number}: {problem}"
        if problem := _dash_problem(argument, parameters):
            return f"argument {number}: {problem}"
    return None


def _dash_problem(argument: str, parameters: Mapping[str, CommandParameter]) -> str | None:
    """Return why a value could make a whole argument an option."""
    if not begins_with_placeholder(argument):
        return None
    first = placeholders(argument)[0]
    values = parameters[first].extremes() if first in parameters else []
    if any(value.startswith("-") for value in values):
        return f"{{{first}}} may begin with a dash and be read as an option; set its min, or write --name={{{first}}}"
    return None


class RequestEntry(CommandTarget):
    """A request. Success is a status from 200 to 299; redirects are not followed, and proxies are not used.

    `headers_file` is a YAML map of secret headers. Only the status is kept; `keep_body` keeps the start of the answer.
    """

    method: Method
    url: Text
    query: dict[str, Text] = field(default_factory=dict)
    json_body: Annotated[Any, Alias("json")] = None
    headers: dict[str, SecretStr] = field(default_factory=dict)
    headers_file: Path | None = None
    check: RequestCheck | None = None
    undo: Call | None = None
    keep_body: bool = False
    timeout: Timeout = timedelta(seconds=10)

    @property
    def call(self) -> Call:
        """The request itself."""
        return Call.model_validate(
            {"method": self.method, "url": self.url, "query": self.query, "json": self.json_body}
        )

    def calls(self) -> Iterator[tuple[str, Call]]:
        """Return the requests by their keys; that of the entry itself has none."""
        yield "", self.call
        if self.check is not None:
            yield "check", self.check
        if self.undo is not None:
            yield "undo", self.undo

    @must_hold
    def _texts_are_usable(self) -> None:
        for key, call in self.calls():
            if problem := call.problem(self.names):
                raise ValueError(f"{key}.{problem}" if key else problem)
            if call.origin != self.call.origin:
                raise ValueError(f"{key}.url: has another scheme, host or port than url, which would get its headers")
        self._check_parameters(text for _, call in self.calls() for text in call.texts())
        if problem := problem_of_headers(self.headers):
            raise ValueError(f"headers: {problem}")
        for name, value in self.headers.items():
            if not self.names.isdisjoint(placeholders(value.get_secret_value())):
                raise ValueError(f"headers: {name} has a placeholder; a header is fixed")
        if self.ends_after is not None and self.undo is None:
            raise ValueError("for needs undo, the request that ends it")
