"""Requests of your own: method, scheme, host and port are fixed; values fill in path segments, the query and JSON."""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from runbookd.inventory.constraints import Alias, Field, StringConstraints
from runbookd.inventory.errors import SecretError, unreadable_secret
from runbookd.inventory.placeholders import placeholder_problem, placeholders
from runbookd.inventory.secrets import SecretStr
from runbookd.inventory.section import Section, must_hold
from runbookd.text_files import read_text_file

MAX_DEPTH = 10  # of `json`
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_CONNECTION_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_A_URL = re.compile(r"[^\x21-\x7e]|\\")

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Text = Annotated[str, StringConstraints(max_length=8_192)]


class Call(Section):
    """The line and body of a request. Values fill in segments of the path, the query and `json`; the rest is fixed."""

    method: Method
    url: Text
    query: dict[str, Text] = field(default_factory=dict)
    json_body: Annotated[Any, Alias("json")] = None

    def problem(self, names: Collection[str]) -> str | None:
        """Return what is wrong with the address or the texts."""
        problem = _problem_of_url(self.url, names)
        if problem is not None:
            return f"url: {problem}"
        for key, text in self.query.items():
            if placeholders(key):
                return f"query: the name {key!r} has a placeholder; only its value may have one"
            if problem := placeholder_problem(text, names):
                return f"query.{key}: {problem}"
        if problem := _problem_of_json(self.json_body, names):
            return f"json: {problem}"
        return "json: GET sends no body; use query" if self.method == "GET" and self.json_body is not None else None

    def texts(self) -> Iterator[str]:
        """Yield every text that may have placeholders."""
        yield self.url
        yield from self.query.values()
        yield from _texts(self.json_body)

    @property
    def origin(self) -> tuple[str, str, int | None]:
        """The scheme, host and port."""
        parts = urlsplit(self.url)
        return parts.scheme, parts.hostname or "", parts.port


def _problem_of_url(url: str, names: Collection[str]) -> str | None:
    if _NOT_IN_A_URL.search(url):
        return "has white space, a backslash or a character that is not ASCII; write it percent-encoded, as %20"
    if not url.startswith(("http://", "https://")):
        return "must begin with http:// or https://; a placeholder cannot stand there"
    if "?" in url or "#" in url:
        return "has a query or fragment; write the query as a map under `query`"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is not an address: {error}"
    if "{" in parts.netloc or "}" in parts.netloc:
        return "has a placeholder in the host or port, which are fixed; it may stand in a segment of the path"
    if "@" in parts.netloc:
        return "contains credentials, which messages would show; put them into headers_file"
    if not host:
        return "has no host"
    if {".", ".."} & set(parts.path.split("/")):
        return "has a segment . or .., which servers and proxies resolve; write the path that is meant"
    return placeholder_problem(parts.path, names)


def _problem_of_json(value: Any, names: Collection[str], depth: int = 0) -> str | None:
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels"
    if isinstance(value, str):
        return placeholder_problem(value, names)
    if isinstance(value, Mapping):
        if wrong := next((key for key in value if not isinstance(key, str) or placeholders(key)), None):
            return f"the key {wrong!r} must be text without a placeholder; only values may have one"
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((problem for each in value if (problem := _problem_of_json(each, names, depth + 1))), None)
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return None
    return "has a value that is not JSON; quote it"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


class RequestCheck(Call):
    """A GET that tells whether everything is as wanted: `status` is answered, with the values of `has` in its JSON."""

    method: Method = "GET"
    status: Annotated[int, Field(ge=100, le=599)] = 200
    has: dict[str, Any] = field(default_factory=dict)

    def problem(self, names: Collection[str]) -> str | None:
        """Return what is wrong with the address or the texts."""
        problem = _problem_of_json(self.has, names)
        return f"has: {problem}" if problem else super().problem(names)

    def texts(self) -> Iterator[str]:
        """Yield every text that may have placeholders."""
        yield from super().texts()
        yield from _texts(self.has)

    @must_hold
    def _only_reads(self) -> None:
        if self.method != "GET" or self.json_body is not None:
            raise ValueError("a check only reads; use GET, without json")


def problem_of_headers(headers: Mapping[str, SecretStr]) -> str | None:
    """Return what is wrong with headers, without their values."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            return f"{name[:50]!r} is not the name of a header"
        if name.lower() in _CONNECTION_HEADERS:
            return f"{name} belongs to the connection; remove it"
        if _CONTROL.search(value.get_secret_value()):
            return f"{name}: has a line break or another control character; remove it"
    return None


def read_headers(headers: Mapping[str, SecretStr], file: Path | None) -> dict[str, str]:
    """Return `headers`, overridden by those in `file`.

    Raises:
        SecretError: the file is unreadable or not a map of headers. Names the file, never its content.
    """
    texts = {name: value.get_secret_value() for name, value in headers.items()}
    return texts if file is None else texts | _read_headers_file(file)


def _read_headers_file(file: Path) -> dict[str, str]:
    import yaml

    try:
        document = yaml.safe_load(read_text_file(file))
    except OSError as error:
        raise unreadable_secret("headers_file", file, error) from None
    except (UnicodeDecodeError, yaml.YAMLError):  # its message would show the line with the secret
        raise SecretError(f"headers_file: {file} is not valid YAML") from None
    if not isinstance(document, dict) or not all(isinstance(text, str) for text in document.values()):
        raise SecretError(f"headers_file: {file} must be a map of names to texts, as in `Authorization: Bearer …`")
    headers = {str(name): text.strip() for name, text in document.items()}
    if problem := problem_of_headers({name: SecretStr(text) for name, text in headers.items()}):
        raise SecretError(f"headers_file: {file}: {problem}")
    return headers
