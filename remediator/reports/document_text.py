"""Writes a report as plain text, for a terminal or a mail: tables in columns, every character visible."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap

from remediator.masking import mask_credentials
from remediator.model.target import sanitize
from remediator.reports.document import Column, Document, Section
from remediator.reports.visible_lines import visible_lines

MAX_CELL = 300  # characters
WIDTH, CELL_WIDTH = 100, 44


def as_text(document: Document) -> str:
    """Return the report; it ends with a line break."""
    lines = [*_wrapped(document.title, *document.facts), "", *_wrapped(document.lead), ""]
    for section in document.sections:
        lines += [section.title.upper(), *_wrapped(*section.notes), *_table(section), *_snippets(section), ""]
    return "\n".join(lines).rstrip() + "\n"


def _wrapped(*sentences: str) -> Iterator[str]:
    for each in sentences:
        yield from wrap(_plain(each, 2_000), WIDTH) or [""]


def _table(section: Section) -> Iterator[str]:
    """Yield the lines of a table; a long cell takes several."""
    if not section.rows:
        return
    rows = (
        [[each.name] for each in section.columns],
        *([wrap(_plain(cell.text), CELL_WIDTH) or ["-"] for cell in row] for row in section.shown),
    )
    widths = [max(len(line) for row in rows for line in row[place]) for place in range(len(section.columns))]
    for row in rows:
        for words in zip_longest(*row, fillvalue=""):
            yield "  ".join(_padded(section.columns, widths, words)).rstrip()


def _padded(columns: Sequence[Column], widths: Sequence[int], words: Sequence[str]) -> Iterator[str]:
    for column, width, word in zip(columns, widths, words, strict=True):
        yield word.rjust(width) if column.is_number else word.ljust(width)


def _snippets(section: Section) -> Iterator[str]:
    for snippet in section.snippets:
        yield from ("", *_wrapped(snippet.sentence))
        yield from (f"    {line}" for line in visible_lines(snippet.text))


def _plain(text: str, limit: int = MAX_CELL) -> str:
    return " ".join(sanitize(mask_credentials(text), limit).split())
