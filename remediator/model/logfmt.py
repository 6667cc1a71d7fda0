"""Values in one readable line, in logfmt: `pid=31897 role=app idle_seconds=20.1`."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Without characters that could end the value or start the next name.
_UNQUOTED = re.compile(r"[^\s\"=,{}\[\]]+")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(?:Z|\+00:00)")


def format_pairs(values: Mapping[str, Any]) -> str:
    """Format each name with its value, without empty values and fractions of a second."""
    return " ".join(f"{name}={format_value(value)}" for name, value in values.items() if value not in ({}, [], (), ""))


def format_value(value: Any) -> str:
    """Format one value.

    Text other than a plain word is quoted, so that it cannot forge a name or a line.

    A nested table is too long for a line: its rows are only counted.
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


def format_evidence(value: Any) -> str:
    """Format a value of the evidence; a sentence stays unquoted."""
    if isinstance(value, str) and value.isprintable():
        return value
    return format_pairs(value) if isinstance(value, Mapping) else format_value(value)


def _format_text(value: str) -> str:
    moment = _MOMENT.fullmatch(value)
    if moment is not None:
        return f"{moment[1]}Z"
    if value.isprintable():
        return value if _UNQUOTED.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
