"""Escapes text for Markdown: whatever an alert or an operator wrote stays text, in one line."""

import re
from collections.abc import Iterable, Sequence

from remediator.masking import mask_credentials
from remediator.model.target import UNPRINTABLE

MAX_CELL = 500  # characters
# An underscore within a word and a number sign within a line have no meaning.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>|~!&@]|(?<!\w)_|_(?!\w))")


def escape(text: str) -> str:
    """Return one line of Markdown that shows exactly `text`, without credentials, links, HTML or mentions."""
    shown = UNPRINTABLE.sub("\ufffd", mask_credentials(text))
    shown = shown if len(shown) <= MAX_CELL else f"{shown[: MAX_CELL - 1]}…"
    return _SPECIAL.sub(r"\\\1", " ".join(shown.split()))


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose cells are Markdown already."""
    return [_row(heading), _row(["---"] * len(heading)), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def fence(text: str) -> str:
    """Return the marks around a text to copy: more backquotes than it has in a row."""
    longest = max((len(each) for each in re.findall(r"`+", text)), default=0)
    return "`" * max(longest + 1, 3)
