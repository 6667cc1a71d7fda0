"""docs/reference/coverage/*.yml answers every row of the runbooks with valid pointers."""

import json
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from remediator.remediations import REMEDIATIONS
from tools.docs.coverage_files import KINDS, RunbookRow, covered_rows, read
from tools.docs.coverage_page import coverage_page
from tools.docs.coverage_pointers import OUTSIDE, link
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
BY_ENTRY = frozenset({"run_command", "http_call"})  # some entries have an alert, all can be started by an operator
SUMMARIES = {
    *("stack/Alerts", "stack/Last runs", "remediation/Runs by outcome"),
    *("morning/Daily list", "morning/Weekly and monthly list", "duties/Duties"),
}
CHANNELS = {  # the channel that the runbook names in a row
    "pmcrm-slack-ops-alerts": "#ops-alerts",
    "pmcrm-slack-ops-critical": "#ops-critical",
    "pmcrm-pagerduty-p0-p1": "pagerduty_configs",
    "fpm-slack-alerts": "#formula-pm-alerts",
    "fpm-email-alerts": "alerts@formulapm.com",
    "lpm-p0-channel": "#incidents",
    "lpm-p0-page": "pagerduty_configs",
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
    for file, text in coverage_page():
        assert file.read_text(encoding="utf-8") == text, f"run make docs: {file.name}"


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


def test_remediation_answers_a_row_only_where_an_alert_or_an_operator_can_start_it() -> None:
    for row in ROWS:
        for remediation in row.answers.remediation:
            starters = [rule for rule in alert_rules() if rule["labels"].get("remediation") == remediation]
            by_alert = any(can_fire(rule, row.stack) for rule in starters)
            by_operator = not starters or remediation in BY_ENTRY or REMEDIATIONS[remediation].only_adds
            assert by_alert or (by_operator and remediation in listed_in(row.stack)), f"{row.id}: {remediation}"


def listed_in(stack: str) -> set[str]:
    """Return the remediations of a runbook's set with a target of their kind there: an operator can start them."""
    text = (ROOT / "deploy" / "runbooks" / stack / "inventory.yml").read_text(encoding="utf-8")
    blocks = yaml.safe_load(text)["stacks"][stack]
    return {name for name in blocks["remediations"] if blocks.get(REMEDIATIONS[name].kind)}


def test_receiver_of_a_row_is_one_of_its_stack_and_the_channel_that_it_names() -> None:
    for row in ROWS:
        for pointer in row.answers.people:
            assert not pointer.startswith("receiver/") or pointer.split("/")[1] == row.stack, row.id
    answers = {row.id: row.answers.people for row in ROWS}
    for row_id, place in CHANNELS.items():
        assert place in {place_of(pointer) for pointer in answers[row_id] if pointer.startswith("receiver/")}, row_id


def test_duty_or_window_of_a_row_is_one_of_its_stack() -> None:
    for row in ROWS:
        for pointer in (*row.answers.duty, *row.answers.window):
            assert pointer.split("/")[0] == row.stack, row.id


def test_panel_of_a_row_shows_one_of_its_metrics_or_what_its_alert_compares() -> None:
    """Summaries show alerts, runs, states and duties, which no row names as a metric."""
    for row in ROWS:
        known = {*row.answers.metric, *(name for alert in row.answers.alert for name in compared_by(alert))}
        shown = [series_of(panel) for panel in row.answers.panel if panel not in SUMMARIES]
        for names in shown if known else []:
            assert names & known, f"{row.id}: {sorted(names)}"


def test_worst_alert_answers_no_row() -> None:
    """It shows no number and no limit."""
    assert not [row.id for row in ROWS if {"stack/Worst alert", "fleet/Worst alert"} & set(row.answers.panel)]


@pytest.mark.parametrize("file", sorted((RULES / "thresholds").glob("*.yml")), ids=lambda file: file.stem)
def test_row_named_by_a_threshold_is_answered_by_its_alert(file: Path) -> None:
    named = re.findall(r"((?: *#.*\n)+) *- record: (runbook:\S+)", file.read_text(encoding="utf-8"))
    rows = {row.id: row.answers for row in ROWS}
    pairs = [(row, number) for comment, number in named for row in ROW_ID.findall(comment)]
    assert pairs
    for row, number in pairs:
        assert any(number in numbers_by_alert()[alert] for alert in rows[row].alert), f"{row}: {number}"


def test_every_word_for_outside_is_used() -> None:
    assert {word for row in ROWS for word in row.answers.outside} == set(OUTSIDE)


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


@cache
def compared_by(alert: str) -> frozenset[str]:
    """Return the recorded series that an alert reads, and those that they are made of."""
    exprs = [rule["expr"] for rule in alert_rules() if rule["alert"] == alert]
    series = deeply({name for expr in exprs for name in names_in(expr)})
    return frozenset(name for name in series if name.startswith("stack") and ":" in name)


@cache
def alert_rules() -> list[dict[str, Any]]:
    return [rule for file in RULES.glob("*.yml") for rule in rules(file) if "alert" in rule]


@cache
def numbers_of(stack: str) -> set[str]:
    return {rule["record"] for rule in rules(RULES / "thresholds" / f"{stack}.yml")}


def can_fire(rule: dict[str, Any], stack: str) -> bool:
    """Return whether the stack has the number that the alert compares with, or the alert needs none."""
    needed = set(re.findall(r"runbook:\w+:(?:critical|warning|info)", rule["expr"]))
    return not needed or bool(needed & numbers_of(stack))


def place_of(pointer: str) -> str:
    """Return the channel, address or service that a receiver sends to."""
    _, stack, name = pointer.split("/")
    file = ROOT / "deploy" / "runbooks" / stack / "alertmanager.yml"
    receiver = next(r for r in yaml.safe_load(file.read_text(encoding="utf-8"))["receivers"] if r["name"] == name)
    (kind, settings), *_ = [(kind, value[0]) for kind, value in receiver.items() if kind != "name"]
    return str(settings.get("channel") or settings.get("to") or kind)


@cache
def series_of(panel: str) -> frozenset[str]:
    """Return the series that a panel reads, through recording rules down to the metrics."""
    board, _, title = panel.partition("/")
    content = json.loads((ROOT / "grafana" / "dashboards" / f"{board}.json").read_text(encoding="utf-8"))
    queries = next(each for each in content["panels"] if each["title"] == title)["targets"]
    return deeply({name for query in queries for name in names_in(query["expr"])})


@cache
def recorded() -> dict[str, str]:
    """Return the expressions of the recording rules by name."""
    everything = [rule for file in RULES.glob("*.yml") for rule in rules(file)]
    return {rule["record"]: rule["expr"] for rule in everything if "record" in rule}


def deeply(names: set[str]) -> frozenset[str]:
    """Return the names, and those that their recording rules read."""
    return frozenset(names | {deeper for name in names for deeper in names_in(recorded().get(name, ""))})


def names_in(expr: str) -> set[str]:
    return set(re.findall(r"[a-z_][a-z0-9_:]+", expr))


def rules(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def rows_of(folder: Path, text: str) -> list[RunbookRow]:
    file = folder / "stack.yml"
    file.write_text(text, encoding="utf-8")
    return list(read(file))
