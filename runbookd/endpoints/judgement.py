"""Judges an answer. The texts name what was expected, and never show a part of the answer: it may hold secrets."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runbookd.endpoints.json_path import NoSuchPlace, value_at
from runbookd.inventory.http import HttpExpectation, HttpTarget, Scalar

MAX_VERSION = 100  # characters
Part = Literal["status", "header", "text", "json"]
_NOT_IN_A_VERSION = re.compile(r"[^A-Za-z0-9._+:/-]")


@dataclass(frozen=True)
class Fault:
    """A part of an answer that is not as expected."""

    part: Part
    text: str


def faults_of(target: HttpTarget, status: int, headers: Mapping[str, str], body: bytes | None) -> Iterator[Fault]:
    """Yield what is wrong with an answer; `body` is None if it was not read."""
    if status not in target.status:
        wanted = " or ".join(str(each) for each in target.status)
        yield Fault("status", f"status {status}, not {wanted}")
    for name, pattern in target.expect.headers.items():
        if re.search(pattern, headers.get(name, "")) is None:
            yield Fault("header", f"the header {name} does not match expect.headers")
    if body is not None and target.expect.reads_the_body:
        yield from _text_faults(target.expect, body)
        yield from _json_faults(target.expect, body)


def version_of(target: HttpTarget, body: bytes | None) -> str | None:
    """Return the version in the JSON body, or None if it has none that can be shown."""
    if target.version is None or body is None:
        return None
    try:
        value = value_at(parse_json(body), target.version)
    except (ValueError, NoSuchPlace):
        return None
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return _NOT_IN_A_VERSION.sub("_", str(value))[:MAX_VERSION] or None if is_plain else None


def _text_faults(expect: HttpExpectation, body: bytes) -> Iterator[Fault]:
    text = body.decode("utf-8", "replace")
    if expect.text is not None and re.search(expect.text, text) is None:
        yield Fault("text", "the body does not match expect.text")
    if expect.not_text is not None and re.search(expect.not_text, text) is not None:
        yield Fault("text", "the body matches expect.not_text")


def _json_faults(expect: HttpExpectation, body: bytes) -> Iterator[Fault]:
    if not expect.json_values:
        return
    try:
        document = parse_json(body)
    except ValueError:
        yield Fault("json", "the body is no JSON; check the address, and the proxies before the endpoint")
        return
    for path, values in expect.json_values.items():
        if problem := _json_problem(document, path, values):
            yield Fault("json", problem)


def _json_problem(document: Any, path: str, values: tuple[Scalar, ...]) -> str | None:
    try:
        value = value_at(document, path)
    except NoSuchPlace:
        return f"the JSON has no {path}"
    if isinstance(value, dict | list):
        return f"{path} of the JSON is {kind_of(value)}, not a value"
    if any(kind_of(value) == kind_of(wanted) and value == wanted for wanted in values):
        return None
    if kind_of(value) not in {kind_of(wanted) for wanted in values}:
        return f"{path} of the JSON is {kind_of(value)}, and the expected value is {kind_of(values[0])}"
    return f"{path} of the JSON is not {' or '.join(json.dumps(each) for each in values)}"


def kind_of(value: Any) -> str:
    """Return the kind of a JSON value in words."""
    if isinstance(value, bool):
        return "true or false"
    words = {str: "text", int: "a number", float: "a number", dict: "an object", list: "a list"}
    return words.get(type(value), "null")


def parse_json(body: bytes) -> Any:
    """Parse JSON; a document that is nested too deeply is as useless as none.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
