"""A report as structure, made once and rendered per format: a title, a first sentence, and sections with tables."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_ROWS = 40  # of a table


@dataclass(frozen=True)
class Cell:
    """One cell, as text. `path` is the page of the console that shows more."""

    text: str
    path: str = ""


@dataclass(frozen=True)
class Column:
    """The heading of a column; numbers stand at the right."""

    name: str
    is_number: bool = False


@dataclass(frozen=True)
class Snippet:
    """A sentence with a text to copy, such as a statement; `language` is its name in Markdown."""

    sentence: str
    text: str = ""
    language: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the report: sentences, then a table, then snippets; `empty` stands for a table without rows."""

    name: str
    title: str
    columns: Sequence[Column] = ()
    rows: Sequence[Sequence[Cell]] = ()
    empty: str = ""
    sentences: Sequence[str] = ()
    snippets: Sequence[Snippet] = ()

    @property
    def shown(self) -> Sequence[Sequence[Cell]]:
        """The first rows."""
        return self.rows[:MAX_ROWS]

    @property
    def notes(self) -> Sequence[str]:
        """The sentences before the table, with what stands for an empty one, or for the rows that are left out."""
        left_out = len(self.rows) - MAX_ROWS
        more = [f"{left_out} more rows are left out; the format json has all of them."] if left_out > 0 else []
        return [*self.sentences, *([self.empty] if not self.rows and self.empty else []), *more]


@dataclass(frozen=True)
class Document:
    """The whole report. `facts` are lines about the report itself."""

    title: str
    lead: str
    facts: Sequence[str]
    sections: Sequence[Section]
