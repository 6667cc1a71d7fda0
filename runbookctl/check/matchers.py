"""Matchers of Alertmanager's routes and inhibit rules."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

# One `name=value`; names and values may be quoted.
_MATCHER = re.compile(
    r"""\s*(?P<name>"(?:[^"\\]|\\.)*"|[^\s"!=~,{}]+)\s*(?P<operator>=~|!~|!=|=)\s*"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|[^",]*?)\s*(?:,|$)"""
)


class MatcherError(ValueError):
    """The text is not a matcher."""


@dataclass(frozen=True)
class Matcher:
    """A comparison of one label; a missing label is empty."""

    name: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels match."""
        label = labels.get(self.name, "")
        if self.operator.endswith("~"):
            found = re.fullmatch(f"(?:{self.value})", label, re.DOTALL) is not None
        else:
            found = label == self.value
        return found == (not self.operator.startswith("!"))


def read_matchers(texts: Iterable[str]) -> tuple[Matcher, ...]:
    """Return the matchers of a list such as `['severity = "critical"', 'team=~"a|b"']`.

    Raises:
        MatcherError: one is not a matcher, or not an expression.
    """
    return tuple(matcher for text in texts for matcher in _read(text))


def _read(text: str) -> Iterator[Matcher]:
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    position = 0
    while position < len(inner):
        match = _MATCHER.match(inner, position)
        if match is None or match.end() == position:
            raise MatcherError(f"{text!r} is not a matcher")
        yield checked(Matcher(_unquoted(match["name"]), match["operator"], _unquoted(match["value"])))
        position = match.end()


def checked(matcher: Matcher) -> Matcher:
    """Return the matcher. Raises MatcherError if its expression cannot be compiled."""
    try:
        re.compile(matcher.value if matcher.operator.endswith("~") else "")
    except re.error:
        raise MatcherError(f"{matcher.value!r} is not an expression that this check understands") from None
    return matcher


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
