"""The page docs/reference/benchmarks.md: each benchmark writes its own section."""

import re

from tools.toolchain.paths import ROOT

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"


def write_section(title: str, text: str) -> None:
    """Replace the text between the two comments of a section."""
    begin, end = f"<!-- {title}: begin -->", f"<!-- {title}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", page), encoding="utf-8")


def write_row(title: str, row: str) -> None:
    """Replace the line of a table that begins with a cell."""
    page = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(rf"^\| {re.escape(title)} \|.*$", re.MULTILINE)
    PAGE.write_text(pattern.sub(lambda _: row, page), encoding="utf-8")
