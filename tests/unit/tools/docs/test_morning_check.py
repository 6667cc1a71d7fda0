"""The morning check walks every daily, weekly and monthly line of the runbooks, with the panels of the coverage."""

import re
from collections import Counter
from pathlib import Path

from tools.docs.boards_page import boards_page
from tools.docs.coverage_files import covered_rows

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "how-to" / "morning-check.md").read_text(encoding="utf-8")
LINE = re.compile(r"^\| ([^|]+) \| `([a-z0-9-]+)` \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
LINES = LINE.findall(PAGE)
ROWS = {row.id: row for row in covered_rows()}
LISTS = re.compile(r"Daily|Weekly|Monthly")
BOARDS = {"queues": "queue-metrics", "PostgreSQL": "postgres"}
"""Boards whose name in words is not their uid."""


def test_every_line_of_a_daily_weekly_or_monthly_list_is_walked_once() -> None:
    listed = {row.id for row in ROWS.values() if LISTS.search(row.section)}
    assert len({row.stack for row in ROWS.values() if row.id in listed}) == 4, "DeelRx has no list by day or week"
    walked = Counter(row for _, row, _, _ in LINES)
    assert listed - set(walked) == set()
    assert [row for row, times in walked.items() if times > 1] == []
    assert {ROWS[row].stack for row in walked} == {row.stack for row in ROWS.values()}


def test_panels_of_a_line_are_those_of_its_row() -> None:
    for _, row, panels, _ in LINES:
        named = [panel.partition(": ") for panel in panels.split(", ") if panel]
        assert tuple(f"{BOARDS.get(board, board)}/{title}" for board, _, title in named) == ROWS[row].answers.panel, row


def test_line_without_a_panel_says_where_the_answer_is() -> None:
    assert [row for _, row, panels, otherwise in LINES if not panels.strip() and not otherwise.strip()] == []


def test_boards_page_matches_the_boards() -> None:
    for file, text in boards_page():
        assert file.read_text(encoding="utf-8") == text, f"run make docs: {file.name}"
