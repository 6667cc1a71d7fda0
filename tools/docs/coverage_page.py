"""Generate docs/reference/coverage.md: the rows of every runbook and their answers."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from tools.docs import REFERENCE
from tools.docs.coverage_files import KINDS, RunbookRow, covered_rows
from tools.docs.coverage_pointers import OUTSIDE, link
from tools.docs.page_parts import replace_part, table

PAGE = REFERENCE / "coverage.md"


def coverage_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with its table generated again."""
    yield PAGE, replace_part(PAGE, "\n".join(_parts(covered_rows())))


def _parts(rows: Sequence[RunbookRow]) -> Iterator[str]:
    yield _counts(rows)
    yield "## Outside\n"
    yield _words("outside", OUTSIDE, rows)
    for stack, of_stack in groupby(rows, lambda row: row.stack):
        yield f"## {stack}\n"
        for section, of_section in groupby(of_stack, lambda row: row.section):
            yield f"### {section}\n"
            yield table([["row", "traps", "answered by"], *map(_cells, of_section)])


def _counts(rows: Sequence[RunbookRow]) -> str:
    stacks = {stack: list(of_stack) for stack, of_stack in groupby(rows, lambda row: row.stack)}
    lines = [[stack, *_numbers(of_stack)] for stack, of_stack in stacks.items()]
    return table([["runbook", "rows", "traps", *KINDS], *lines, ["all", *_numbers(rows)]])


def _numbers(rows: Sequence[RunbookRow]) -> list[str]:
    answer_counts = [sum(bool(getattr(row.answers, kind)) for row in rows) for kind in KINDS]
    return [str(number) for number in (len(rows), sum(row.answers.traps for row in rows), *answer_counts)]


def _words(kind: str, meanings: Mapping[str, str], rows: Sequence[RunbookRow]) -> str:
    counts = {word: sum(word in getattr(row.answers, kind) for row in rows) for word in meanings}
    return table([["word", "rows", "meaning"], *([word, str(counts[word]), meanings[word]] for word in meanings)])


def _cells(row: RunbookRow) -> list[str]:
    traps = row.answers.traps
    return [f"`{row.id}`", f"[{traps}](../explanation/runbook-review.md)" if traps else "", _answers(row)]


def _answers(row: RunbookRow) -> str:
    try:
        parts = [
            f"{kind} " + ", ".join(link(kind, pointer) for pointer in pointers)
            for kind, pointers in row.answers.pointers()
            if pointers
        ]
    except ValueError as error:
        raise ValueError(f"docs/reference/coverage/{row.stack}.yml: {row.id}: {error}") from None
    return " · ".join(parts)
