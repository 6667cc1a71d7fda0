"""The part of a page that `make docs` writes, between two comments; all around it is written by people."""

import re
from pathlib import Path

_PART = re.compile(r"(?<=<!-- table: written by `make docs` -->\n).*?(?=<!-- end of table -->)", re.DOTALL)


def replace_part(file: Path, part: str) -> str:
    """Return the page with this part in place of the one it has.

    Raises ValueError where the page does not have exactly one place for it.
    """
    before, *after = _PART.split(file.read_text(encoding="utf-8"))
    if len(after) != 1:
        raise ValueError(f"{file.name} has {len(after)} places for what is written by `make docs`, not one")
    return before + part + after[0]


def table(rows: list[list[str]]) -> str:
    """Return a table; the first row is its heading."""
    heading, *cells = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in [heading, ["---"] * len(heading), *cells])
