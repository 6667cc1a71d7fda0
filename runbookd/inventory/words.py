"""Words of our own for what pydantic reports: each says what to write, and none repeats the value."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runbookd.inventory.section import NAME

if TYPE_CHECKING:
    import yaml
    from pydantic_core import ErrorDetails

Words = Callable[[Mapping[str, Any]], str]
_TEXTS: Mapping[str, str] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "date_from_datetime_parsing": "must be a date such as 2026-12-24",
    "datetime_from_date_parsing": "must be a moment such as 2026-12-24T00:00:00Z",
    "datetime_parsing": "must be a moment such as 2026-12-24T00:00:00Z",
    "datetime_type": "must be a moment such as 2026-12-24T00:00:00Z",
    "dataclass_type": "must be a map of keys, as in `{name: …}`, or indented lines",
    "dict_type": "must be a map of keys, as in `{name: …}`, or indented lines",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "missing": "is missing; add it",
    "model_type": "must be a map of keys, as in `{name: …}`, or indented lines",
    "path_type": "must be a path; put it in quotes",
    "string_sub_type": "must be text; put it in quotes",
    "string_too_short": "must not be empty",
    "string_type": "must be text; put it in quotes",
    "time_parsing": 'must be a time of day such as "14:00"',
    "time_type": 'must be a time of day such as "14:00"',
    "timezone_aware": "needs a time zone, as in 2026-12-24T00:00:00Z",
    "too_short": "must not be empty",
    "tuple_type": "must be a list, as in `[a, b]`",
}
_WITH_LIMITS: Mapping[str, Words] = {
    "enum": lambda limits: f"must be {limits['expected']}",
    "greater_than": lambda limits: f"must be more than {limits['gt']:g}",
    "greater_than_equal": lambda limits: f"must be at least {limits['ge']:g}",
    "less_than_equal": lambda limits: f"must be at most {limits['le']:g}",
    "literal_error": lambda limits: f"must be {limits['expected']}",
    "string_pattern_mismatch": lambda limits: _by_pattern(str(limits["pattern"])),
    "string_too_long": lambda limits: f"must have at most {limits['max_length']} characters",
    "too_long": lambda limits: f"must have at most {limits['max_length']} entries",
}
# YAML gives values that begin with these signs a meaning of its own.
_YAML_SIGNS = {"alias": "*", "anchor": "&", "tag": "!", "directive": "%"}


def problem_text(detail: "ErrorDetails") -> str:
    """Return what is wrong with a value, in the words of the inventory's documentation."""
    if with_limits := _WITH_LIMITS.get(detail["type"]):
        return with_limits(detail.get("ctx", {}))
    return _TEXTS.get(detail["type"], detail["msg"].removeprefix("Value error, "))


def yaml_problem(error: "yaml.YAMLError") -> str:
    """Return why a text is not YAML. The library's words repeat what it takes for an alias, an anchor or a tag."""
    problem = getattr(error, "problem", None) or "a character is not printable"
    for kind, sign in _YAML_SIGNS.items():
        if kind in problem:
            return f"is not valid YAML: quote the value that begins with {sign}"
    if "'\\t'" in problem:
        return "is not valid YAML: indent with blanks instead of tabs"
    return f"is not valid YAML: {problem}"


def _by_pattern(pattern: str) -> str:
    if pattern.startswith("^https?://"):
        return "must begin with http:// or https://"
    if pattern == NAME:
        return "not a name; use lower-case letters, digits and single underscores, and start with a letter"
    if pattern.endswith(r"\.service$"):
        return "must be the name of a unit, such as web.service"
    return f"must match the pattern {pattern}"
