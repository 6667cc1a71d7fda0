"""Replace the generated part of a page, between two comments; the rest is hand-written."""

import re
from pathlib import Path

_BEGIN, _END = "<!-- table: written by `make docs` -->\n", "<!-- end of table -->"
_PART = re.compile(f"(?<={_BEGIN}).*?(?={_END})", re.DOTALL)
EMPTY_PART = f"{_BEGIN}{_END}\n"


def replace_part(file: Path, part: str, page: str | None = None) -> str:
    """Return the page with its generated part replaced by `part`; `page` is the text of a file that is not there yet.

    Raises ValueError unless the page has exactly one generated part.
    """
    before, *after = _PART.split(file.read_text(encoding="utf-8") if page is None else page)
    if len(after) != 1:
        raise ValueError(f"{file.name}: {len(after)} generated parts, not one; restore the comments around the table")
    return before + part + after[0]


def table(rows: list[list[str]]) -> str:
    """Return a Markdown table; the first row is the heading."""
    heading, *cells = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in [heading, ["---"] * len(heading), *cells])
