"""Values in a line for people: `pid=31897 role=app idle_seconds=20.1`, as logfmt has it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Nothing in it could be taken for the end of the value, or for the next name.
_UNQUOTED = re.compile(r"[^\s\"=,{}\[\]]+")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(?:Z|\+00:00)")


def format_pairs(values: Mapping[str, Any]) -> str:
    """Each name with its value; what is empty is left out, and so are fractions of a second."""
    return " ".join(f"{name}={format_value(value)}" for name, value in values.items() if value not in ({}, [], (), ""))


def format_value(value: Any) -> str:
    """One value; a text that is no plain word is quoted, so that it can forge neither a name nor a line.

    A table in a table is for programs: its rows are only counted.
    """
    if isinstance(value, str):
        return _format_text(value)
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return "{" + format_pairs(value) + "}"
    if isinstance(value, Sequence) and value and all(isinstance(each, list | tuple) for each in value):
        return f"({len(value)} rows)"
    if isinstance(value, Sequence):
        return "[" + ", ".join(format_value(each) for each in value) + "]"
    return json.dumps(value, default=str)


def _format_text(value: str) -> str:
    moment = _MOMENT.fullmatch(value)
    if moment is not None:
        return f"{moment[1]}Z"
    if value.isprintable():
        return value if _UNQUOTED.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
