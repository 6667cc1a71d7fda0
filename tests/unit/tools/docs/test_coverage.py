"""docs/reference/coverage/*.yml answers every row of the runbooks with valid pointers."""

import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tools.docs.coverage_files import KINDS, RunbookRow, covered_rows, read
from tools.docs.coverage_page import coverage_page
from tools.docs.coverage_pointers import OUTSIDE, PLANNED, link
from tools.docs.metrics_tables import metrics_pages

ROWS = covered_rows()
ROOT = Path(__file__).parents[4]
RULES = ROOT / "alert_rules"
ROW_ID = re.compile(r"\b(?:pmcrm|cf|fpm|drx|lpm)-[a-z0-9-]+")
SOURCES = {  # numbers of rows and traps in each runbook, and the prefix of its row ids
    "pmcrm": (158, 92, "pmcrm-"),
    "clientforge": (133, 40, "cf-"),
    "formula_pm": (136, 50, "fpm-"),
    "deelrx": (130, 28, "drx-"),
    "life_platform": (157, 29, "lpm-"),
}


@pytest.mark.parametrize("stack", SOURCES)
def test_every_row_of_a_runbook_is_answered_once(stack: str) -> None:
    rows, traps, prefix = SOURCES[stack]
    of_stack = [row for row in ROWS if row.stack == stack]
    assert len({row.id for row in of_stack if row.id.startswith(prefix)}) == len(of_stack) == rows
    assert sum(row.answers.traps for row in of_stack) == traps


def test_each_runbook_has_one_coverage_file() -> None:
    assert {row.stack for row in ROWS} == set(SOURCES)


def test_coverage_page_matches_its_files() -> None:
    """To fix it, run `make docs`, or correct the pointer."""
    for file, text in coverage_page():
        assert file.read_text(encoding="utf-8") == text


def test_metric_reference_names_the_answered_rows() -> None:
    pages = "".join(text for _, text in metrics_pages())
    lines = {line.split("`")[1]: line for line in pages.splitlines() if line.startswith("| `")}
    for row in ROWS:
        for metric in row.answers.metric:
            assert row.id in lines[metric].replace("|", ",").replace(" ", "").split(",")


@pytest.mark.parametrize("kind", KINDS)
def test_pointer_to_nothing_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"no {kind} is named nothing"):
        link(kind, "nothing")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_used_and_links_to_an_existing_file(kind: str) -> None:
    pointers = {pointer for row in ROWS for pointer in getattr(row.answers, kind)}
    assert pointers
    for pointer in pointers:
        place = link(kind, pointer).partition("](")[2].rstrip(")").partition("#")[0]
        assert (ROOT / "docs" / "reference" / place).exists()


def test_alert_answers_a_row_only_with_a_number_of_its_stack() -> None:
    """Without a threshold the alert cannot fire in that stack."""
    numbers = {file.stem: {rule["record"] for rule in rules(file)} for file in (RULES / "thresholds").glob("*.yml")}
    for row in ROWS:
        for alert in row.answers.alert:
            needed = numbers_by_alert()[alert]
            assert not needed or needed & numbers[row.stack], f"{row.id}: {alert}"


@pytest.mark.parametrize("file", sorted((RULES / "thresholds").glob("*.yml")), ids=lambda file: file.stem)
def test_row_named_by_a_threshold_is_answered_by_its_alert(file: Path) -> None:
    named = re.findall(r"((?: *#.*\n)+) *- record: (runbook:\S+)", file.read_text(encoding="utf-8"))
    rows = {row.id: row.answers for row in ROWS}
    pairs = [(row, number) for comment, number in named for row in ROW_ID.findall(comment)]
    assert pairs
    for row, number in pairs:
        assert any(number in numbers_by_alert()[alert] for alert in rows[row].alert), f"{row}: {number}"


def test_every_word_for_outside_and_planned_is_used() -> None:
    assert {word for row in ROWS for word in row.answers.outside} == set(OUTSIDE)
    assert {word for row in ROWS for word in row.answers.planned} == set(PLANNED)


def test_several_traps_of_a_row_are_numbered(tmp_path: Path) -> None:
    text = "Part:\n  a: {people: [tell]}\n  b: {people: [tell], traps: 1}\n  c: {people: [tell], traps: 2}\n"
    assert [row.traps for row in rows_of(tmp_path, text)] == [(), ("b",), ("c/1", "c/2")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Part:\n  a: {traps: 1}\n", "this row has no answer"),
        ("Part:\n  a: {metric: []}\n", "at least 1 item"),
        ("Part:\n  a: {people: [tell], why: prose}\n", "why"),
        ("Part:\n  a: {people: [tell], traps: -1}\n", "greater than or equal to 0"),
    ],
)
def test_row_without_an_answer_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        rows_of(tmp_path, text)


def test_duplicate_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError, match=r"duplicate key a(.|\n)*line 3"):
        rows_of(tmp_path, "Part:\n  a: {people: [tell]}\n  a: {people: [tell]}\n")
    assert not [row for row, times in Counter(row.id for row in ROWS).items() if times > 1]


@cache
def numbers_by_alert() -> dict[str, set[str]]:
    """Return the thresholds of each alert."""
    numbers: dict[str, set[str]] = defaultdict(set)
    for rule in (rule for file in RULES.glob("*.yml") for rule in rules(file) if "alert" in rule):
        numbers[rule["alert"]] |= set(re.findall(r"runbook:\w+:(?:critical|warning|info)", rule["expr"]))
    return numbers


def rules(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def rows_of(folder: Path, text: str) -> list[RunbookRow]:
    file = folder / "stack.yml"
    file.write_text(text, encoding="utf-8")
    return list(read(file))
