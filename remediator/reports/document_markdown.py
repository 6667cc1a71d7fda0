"""Writes a report in Markdown, for a pull request, a page or a chat."""

from collections.abc import Iterator

from remediator.reports.document import Column, Document, Section, Snippet
from remediator.reports.markdown import escape, fence, table
from remediator.reports.visible_lines import visible_lines


def as_markdown(document: Document) -> str:
    """Return the report; it ends with a line break."""
    lines = [f"# {escape(document.title)}", "", f"**{escape(document.lead)}**", ""]
    lines += [*(f"- {escape(each)}" for each in document.facts), ""]
    for section in document.sections:
        lines += [f"## {escape(section.title)}", "", *_section(section)]
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section) -> Iterator[str]:
    for each in section.notes:
        yield from (f"{escape(each)}", "")
    if section.rows:
        heading, *rest = table([escape(each.name) for each in section.columns], _rows(section))
        yield from (heading, _rule(section), *rest[1:], "")
    for snippet in section.snippets:
        yield from _snippet(snippet)


def _rows(section: Section) -> Iterator[list[str]]:
    for row in section.shown:
        yield [escape(cell.text) for cell in row]


def _rule(section: Section) -> str:
    return f"| {' | '.join(map(_alignment, section.columns))} |"


def _alignment(column: Column) -> str:
    return "---:" if column.is_number else "---"


def _snippet(snippet: Snippet) -> Iterator[str]:
    yield from (escape(snippet.sentence), "")
    if snippet.text:
        marks = fence(snippet.text)
        yield from (f"{marks}{snippet.language}", *visible_lines(snippet.text), marks, "")
