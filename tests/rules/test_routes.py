"""The receivers of each alert, by Alertmanager's own routing, and the limits of inhibition."""

import re
from typing import Any

import pytest
import yaml

from tests.rules.rulebook import ROOT, SEVERITIES, Rule, alerts, threshold_names, thresholds
from tests.rules.tools import RunTool

CONFIG = ROOT / "deploy" / "alertmanager.yml"
PAGED = {"P0", "P1"}


def configuration() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    return loaded


def remediation_of(alert: Rule) -> str:
    return alert.labels.get("remediation", "")


def possible_alerts() -> set[tuple[str, str, str, str]]:
    """Return stack, severity, priority and remediation of every alert that can fire."""
    with_threshold = {
        (number.labels["stack"], alert.labels["severity"], number.labels["priority"], remediation_of(alert))
        for alert in alerts()
        for number in thresholds()
        if number.record in threshold_names(alert.expr)
    }
    others = {("any", alert.labels["severity"], "", remediation_of(alert)) for alert in alerts()}
    return with_threshold | others


def test_alertmanager_accepts_the_configuration(amtool: RunTool) -> None:
    result = amtool("check-config", CONFIG)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("stack", "severity", "priority", "remediation"), sorted(possible_alerts()))
def test_alert_is_routed_by_priority_severity_and_remediation(
    amtool: RunTool, stack: str, severity: str, priority: str, remediation: str
) -> None:
    pages = priority in PAGED or (not priority and severity == "critical")
    assert _receivers(amtool, stack=stack, severity=severity, priority=priority, remediation=remediation) == [
        *(["remediator"] if remediation else []),
        "chat",
        "pager" if pages else "mail",
    ]


def test_possible_alerts_cover_all_severities_and_stacks() -> None:
    assert {severity for _, severity, _, _ in possible_alerts()} == set(SEVERITIES)
    assert {stack for stack, *_ in possible_alerts()} == {"any", *(number.labels["stack"] for number in thresholds())}


def test_alert_without_a_severity_reaches_the_chat(amtool: RunTool) -> None:
    assert _receivers(amtool, alertname="Stray") == ["chat"]


def test_remediator_route_is_ungrouped_immediate_and_repeating() -> None:
    route = configuration()["route"]["routes"][0]
    assert route == {
        "receiver": "remediator",
        "matchers": ['remediation != ""'],
        "group_by": ["..."],
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "5m",
        "continue": True,
    }


def test_remediator_receiver_sends_resolved_alerts_and_a_token_file() -> None:
    receiver = next(entry for entry in configuration()["receivers"] if entry["name"] == "remediator")
    hook = receiver["webhook_configs"][0]
    assert hook["send_resolved"] is True
    assert set(hook["http_config"]["authorization"]) == {"credentials_file"}


def test_configuration_contains_no_secret() -> None:
    text = CONFIG.read_text()
    assert [word for word in ("password:", "api_url:", "routing_key:", "credentials:") if word in text] == []


def test_every_interval_has_a_zone_and_mutes_only_mail() -> None:
    intervals = [inner for outer in configuration()["time_intervals"] for inner in outer["time_intervals"]]
    assert intervals
    assert all("location" in interval for interval in intervals)
    muting = {"mute_time_intervals", "active_time_intervals"}
    remediator, everybody = configuration()["route"]["routes"]
    assert not muting & {*remediator, *everybody}
    assert {route["receiver"] for route in everybody["routes"] if muting & set(route)} == {"mail"}


@pytest.mark.parametrize("rule", configuration()["inhibit_rules"], ids=lambda rule: str(rule["target_matchers"]))
def test_inhibition_stays_in_a_stack_and_spares_alerts_with_a_fix(rule: dict[str, Any]) -> None:
    assert "stack" in rule["equal"]
    assert 'remediation =~ "|collect_diagnostics"' in rule["target_matchers"]


def test_alerts_named_by_inhibition_and_routes_exist() -> None:
    named = re.findall(r"alertname\s*=~?\s*\"?([\w|]+)", CONFIG.read_text())
    assert named
    assert {name for names in named for name in names.split("|")} <= {alert.alert for alert in alerts()}


def _receivers(amtool: RunTool, **labels: str) -> list[str]:
    pairs = [f"{name}={value}" for name, value in labels.items() if value]
    result = amtool("config", "routes", "test", f"--config.file={CONFIG}", *pairs)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().split(",")
