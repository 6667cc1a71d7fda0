"""Requirements that every alert meets."""

import re
from typing import Any

import pytest
from typer.main import get_command

from remediator.remediations import REMEDIATIONS
from runbookctl.main import app
from tests.rules.generated import cases_of, subsystems
from tests.rules.rulebook import (
    CASES,
    ROOT,
    SEVERITIES,
    Rule,
    alerts,
    published_rules,
    subsystem_files,
    threshold_names,
    thresholds,
)

FROM_THE_JOIN = {"stack", "priority"}
COMPONENTS = {
    *("database", "queues", "cache", "search", "backups", "http", "application", "hosts", "monitoring", "duties"),
}
TEXTS = {"summary", "description", "impact", "commands"}
LINKS = {"runbook_url", "dashboard_url"}
REMEDIABLE = [alert for alert in alerts() if "remediation" in alert.labels]
JOINED = [alert for alert in alerts() if alert.labels["component"] != "monitoring" and threshold_names(alert.expr)]
READS = "collect_diagnostics"
"""Repairs nothing, so the end of its alert is no proof and may come late."""
STATES = r"(==|>) [01]\b"


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_alert_has_the_required_labels_and_annotations(alert: Rule) -> None:
    assert re.fullmatch(r"([A-Z][a-z]+|DLQ|CPU|TLS)+", alert.alert or "")
    assert alert.labels["severity"] in SEVERITIES
    assert alert.labels["component"] in COMPONENTS
    assert alert.duration is not None
    assert set(alert.annotations) == TEXTS | LINKS


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_alert_has_three_harmless_commands(alert: Rule) -> None:
    commands = alert.annotations["commands"].splitlines()
    assert len(commands) == 3
    assert re.findall(r"\b(FLUSH\w*|DEL|rm|kill|pg_terminate_backend|restart|KEYS|-f)\b", " ".join(commands)) == []
    assert "VACUUM FULL" not in alert.annotations["commands"]


def test_runbookctl_commands_in_alerts_are_valid() -> None:
    command_lines = {
        line for alert in alerts() for line in alert.annotations["commands"].splitlines() if "runbookctl" in line
    }
    parser = get_command(app)
    for words in (line.split()[1:] for line in command_lines):
        context = parser.make_context("runbookctl", list(words), resilient_parsing=True)
        name, command, rest = parser.resolve_command(context, list(words))
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= options, f"{name} {rest}"


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_labels_of_an_alert_are_static(alert: Rule) -> None:
    """A value in a label would start a new alert and episode at every evaluation."""
    assert not any("{{" in value for value in alert.labels.values())
    assert not FROM_THE_JOIN & set(alert.labels)


@pytest.mark.parametrize("alert", REMEDIABLE, ids=str)
def test_remediation_of_an_alert_exists(alert: Rule) -> None:
    assert alert.labels["remediation"] in REMEDIATIONS


@pytest.mark.parametrize("alert", REMEDIABLE, ids=str)
def test_an_alert_with_a_fix_ends_with_the_problem(alert: Rule) -> None:
    assert alert.keep_firing_for is None or alert.labels["remediation"] == READS


def test_urgent_alert_without_a_fix_has_the_state_of_the_stack_read() -> None:
    """A rule whose number is P0 or P1 in some stack, and every other severity of the same alert."""
    urgent = {str(number.record) for number in thresholds() if number.labels["priority"] in {"P0", "P1"}}
    names = {alert.alert for alert in JOINED if threshold_names(alert.expr) & urgent}
    without = [str(alert) for alert in JOINED if alert.alert in names and "remediation" not in alert.labels]
    assert without == []
    reading = {alert.alert for alert in alerts() if alert.labels.get("remediation") == READS}
    assert reading <= names


@pytest.mark.parametrize("alert", JOINED, ids=str)
def test_description_names_the_limit_of_the_expression(alert: Rule) -> None:
    named, compared = (threshold_names(text) for text in (alert.annotations["description"], alert.expr))
    assert named == compared, "query each limit of the expression in the description, as the other alerts do"


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_expression_contains_no_number(alert: Rule) -> None:
    """Numbers belong to the runbooks; comparisons with 0 or 1 are states, not numbers."""
    without_states = re.sub(STATES, "", re.sub(r"\[\w+\]|\{[^}]*\}", "", alert.expr))
    assert re.findall(r"(?<![\w:$])\d+", without_states) == []


@pytest.mark.parametrize("alert", [alert for alert in alerts() if alert.file.stem == "remediator"], ids=str)
def test_an_alert_about_the_remediator_never_reaches_it(alert: Rule) -> None:
    assert "remediation" not in alert.labels
    grouping = re.search(r" by \(([^)]*)\)", alert.expr)
    per_remediation = "remediation_breaker_open" in alert.expr
    assert not per_remediation or (grouping is not None and "remediation" not in grouping[1])


@pytest.mark.parametrize("file", subsystem_files(), ids=lambda file: file.stem)
def test_rule_file_names_no_stack(file: Any) -> None:
    stacks = {rule.labels["stack"] for rule in thresholds()}
    assert [stack for stack in stacks if stack in file.read_text()] == []


@pytest.mark.parametrize("subsystem", subsystems())
def test_every_alert_has_a_case(subsystem: str) -> None:
    """Each case generates both tests: quiet at the limit and firing past it."""
    written = {(case.alert, case.severity, *sorted(case.labels.values())) for case in cases_of(subsystem)}
    in_rules = [alert for alert in alerts() if alert.file.stem == subsystem]
    assert len(written) == len(cases_of(subsystem)) == len(in_rules)
    assert {(alert, severity) for alert, severity, *_ in written} == {(a.alert, a.labels["severity"]) for a in in_rules}


@pytest.mark.parametrize("alert", [a for a in alerts() if a.file.stem not in subsystems()], ids=str)
def test_every_other_alert_occurs_in_a_test_file(alert: Rule) -> None:
    files = sorted(CASES.glob("*_test.yml"))
    assert any(alert.alert and re.search(rf"\b{alert.alert}\b", file.read_text()) for file in files)


def test_no_alert_uses_a_threshold_that_no_stack_publishes() -> None:
    """Two alerts wait for numbers that a manual requires without stating them; until then there is a silence."""
    used = {name for alert in alerts() for name in threshold_names(alert.expr)}
    unnamed = used - {str(rule.record) for rule in published_rules()}
    silent = {rule.labels["quantity"] for rule in published_rules() if "quantity" in rule.labels}
    assert {name.split(":")[1] for name in unnamed} - silent == set(), "add its number to alert_rules/thresholds/*.yml"


def test_alerts_page_matches_the_rules() -> None:
    from tools.docs.alerts_tables import alerts_page

    for file, text in alerts_page():
        assert file.read_text(encoding="utf-8") == text, f"run make docs: {file.relative_to(ROOT)}"
