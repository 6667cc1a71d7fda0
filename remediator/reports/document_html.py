"""Writes a report as one HTML page without scripts and without links: a file to keep or to send."""

from collections.abc import Iterator
from html import escape

from remediator.masking import mask_credentials
from remediator.model.target import sanitize
from remediator.reports.document import Document, Section
from remediator.reports.visible_lines import visible_lines

MAX_CELL = 1_000  # characters
_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.45 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .94rem; }
th, td { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid GrayText; text-align: left; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
pre { padding: .5rem; border: 1px solid GrayText; overflow-x: auto; }
"""


def as_html(document: Document) -> str:
    """Return the page; it ends with a line break."""
    title = _text(document.title)
    facts = "".join(f"<p>{_text(each)}</p>\n" for each in document.facts)
    sections = "".join(line for each in document.sections for line in _section(each))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{title}</h1>\n<p><strong>{_text(document.lead)}</strong></p>\n{facts}{sections}</body>\n</html>\n"
    )


def _section(section: Section) -> Iterator[str]:
    yield f"<h2>{_text(section.title)}</h2>\n"
    yield from (f"<p>{_text(each)}</p>\n" for each in section.notes)
    if section.rows:
        head = _row(section, [each.name for each in section.columns], "th")
        yield f'<div class="scroll"><table>\n<thead>{head}</thead>\n'
        body = "".join(_row(section, [cell.text for cell in row], "td") for row in section.shown)
        yield f"<tbody>\n{body}</tbody>\n</table></div>\n"
    for snippet in section.snippets:
        yield f"<p>{_text(snippet.sentence)}</p>\n"
        if lines := visible_lines(snippet.text):
            yield f"<pre>{escape(chr(10).join(lines))}</pre>\n"


def _row(section: Section, words: list[str], tag: str) -> str:
    cells = (
        f'<{tag} class="{"number" if column.is_number else "text"}">{_text(word)}</{tag}>'
        for column, word in zip(section.columns, words, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>\n"


def _text(text: str) -> str:
    """Return one line without credentials and hidden characters, in which HTML has no meaning."""
    return escape(" ".join(sanitize(mask_credentials(text), MAX_CELL).split()))
