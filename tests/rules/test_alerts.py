"""What every alert has to be, whatever it is about."""

import re
from typing import Any

import pytest
import yaml

from remediator.remediations import REMEDIATIONS
from tests.rules.rulebook import CASES, ROOT, Rule, alerts, published, subsystem_files, threshold_names, thresholds

FROM_THE_JOIN = {"stack", "priority"}
META = {"ThresholdMissing", "MetricMissing"}
REMEDIABLE = [alert for alert in alerts() if "remediation" in alert.labels]


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_it_has_the_labels_and_annotations_that_routes_and_people_rely_on(alert: Rule) -> None:
    assert re.fullmatch(r"([A-Z][a-z]+|DLQ)+", alert.alert or "")
    assert alert.labels["severity"] in {"critical", "warning", "info"}
    assert alert.labels["component"] in {"database", "queues", "backups", "monitoring"}
    assert alert.duration is not None
    assert set(alert.annotations) == {"summary", "description", "runbook_url", "dashboard_url"}


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_its_labels_are_static(alert: Rule) -> None:
    """A label with a value in it makes a new alert, and a new episode, at every evaluation."""
    assert not any("{{" in value for value in alert.labels.values())
    assert not FROM_THE_JOIN & set(alert.labels)


@pytest.mark.parametrize("alert", REMEDIABLE, ids=str)
def test_its_remediation_exists(alert: Rule) -> None:
    assert alert.labels["remediation"] in REMEDIATIONS


@pytest.mark.parametrize("alert", REMEDIABLE, ids=str)
def test_an_alert_with_a_remediation_ends_with_the_problem(alert: Rule) -> None:
    assert alert.keep_firing_for is None


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_the_text_tells_the_limit_that_the_expression_compares_with(alert: Rule) -> None:
    said = threshold_names(alert.annotations["description"])
    assert said == (set() if alert.alert in META else threshold_names(alert.expr))


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_no_number_stands_in_an_expression(alert: Rule) -> None:
    """Numbers are the runbooks'. Whether something is up, visible or there at all is no number but a yes or no."""
    yes_or_no = r"(_up|_can_see_all_sessions|_paused|_found|_failed|_open.*)(\)?) == [01]\b"
    without_states = re.sub(yes_or_no, r"\1\2", alert.expr)
    without_states = re.sub(r"(_(incomplete_objects|proofs)\{[^}]*\}\)) > 0\b", r"\1", without_states)
    without_states = re.sub(r"(_waiting|_unsent|\[5m\]\)\)) > 0\b", "", without_states)
    assert re.findall(r"(?<![\w:$])\d+", without_states) == []


@pytest.mark.parametrize("alert", [alert for alert in alerts() if alert.file.stem == "remediator"], ids=str)
def test_an_alert_about_the_remediator_never_reaches_it(alert: Rule) -> None:
    assert "remediation" not in alert.labels
    kept = re.search(r" by \(([^)]*)\)", alert.expr)
    per_remediation = "remediation_breaker_open" in alert.expr
    assert not per_remediation or (kept is not None and "remediation" not in kept[1])


@pytest.mark.parametrize("file", subsystem_files(), ids=lambda file: file.stem)
def test_no_stack_is_named(file: Any) -> None:
    stacks = {rule.labels["stack"] for rule in thresholds()}
    assert [stack for stack in stacks if stack in file.read_text()] == []


def test_every_alert_is_shown_firing_and_quiet() -> None:
    firing, quiet = _cases()
    names = {alert.alert for alert in alerts()}
    assert names - firing == set()
    assert names - quiet == set()


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_the_reference_has_its_line(alert: Rule) -> None:
    remediation = f"`{alert.labels['remediation']}`" if "remediation" in alert.labels else ""
    line = re.search(rf"^\| `{alert.alert}` .*$", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE)
    assert line is not None
    cells = [cell.strip() for cell in line[0].strip("|").split("|")]
    assert (cells[1], cells[4], cells[5]) == (alert.labels["severity"], alert.duration, remediation)


def test_no_alert_uses_a_threshold_that_no_stack_publishes() -> None:
    used = {name for alert in alerts() for name in threshold_names(alert.expr)}
    assert used <= {rule.record for rule in published()}


def _cases() -> tuple[set[str], set[str]]:
    asked = [
        (case["alertname"], bool(case.get("exp_alerts")))
        for file in CASES.glob("*_test.yml")
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test.get("alert_rule_test", [])
    ]
    return {name for name, fires in asked if fires}, {name for name, fires in asked if not fires}
