"""Placeholders in texts of the inventory: `{name}` stands for a value.

Other braces are text, so JSON and the templates of other tools (`{{.State}}`) need no escape.
"""

import re
from collections.abc import Collection, Mapping

# Double braces are one token, so that what is within them is no placeholder.
_BRACES = re.compile(r"\{\{[^{}]*\}\}|\{(?P<name>[^{}]*)\}")
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_WORD = re.compile(r"\s*[A-Za-z_][\w.-]*\s*")  # what a reader takes for a placeholder


def placeholders(text: str) -> list[str]:
    """Return the names of the placeholders in `text`, in order."""
    return [match["name"] for match in _BRACES.finditer(text) if _is_placeholder(match)]


def begins_with_placeholder(text: str) -> bool:
    """Return whether `text` begins with the value of a placeholder."""
    match = _BRACES.match(text)
    return match is not None and _is_placeholder(match)


def placeholder_problem(text: str, known: Collection[str]) -> str | None:
    """Return why `text` cannot be filled in from the names `known`."""
    for match in _BRACES.finditer(text):
        name, double = match["name"], match.group()[2:-2].strip()
        if name is None and double in known:
            return f"{{{{{double}}}}} has double braces, which are text; write {{{double}}}"
        if name is not None and name not in known and _WORD.fullmatch(name):
            names = ", ".join(f"{{{each}}}" for each in sorted(known))
            return f"{{{name}}} is no known placeholder; known are {names}; for the text itself, use a script"
    return None


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with each placeholder replaced once; braces in a value stay as they are.

    Raises:
        KeyError: a placeholder has no value.
    """
    return _BRACES.sub(lambda match: values[match["name"]] if _is_placeholder(match) else match.group(), text)


def _is_placeholder(match: re.Match[str]) -> bool:
    return match["name"] is not None and _NAME.fullmatch(match["name"]) is not None
