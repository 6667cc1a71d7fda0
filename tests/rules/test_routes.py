"""Who hears of an alert, asked of Alertmanager's own routing; and what inhibition must never touch."""

from typing import Any

import pytest
import yaml

from tests.rules.rulebook import ROOT, Rule, alerts
from tests.rules.tools import Run

CONFIG = ROOT / "deploy" / "alertmanager.yml"
PEOPLE = {"critical": "oncall", "warning": "team", "info": "team"}


def configuration() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    return loaded


def test_alertmanager_takes_the_configuration(amtool: Run) -> None:
    result = amtool("check-config", CONFIG)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("alert", alerts(), ids=str)
def test_every_alert_reaches_people_and_those_with_a_remediation_the_remediator_first(amtool: Run, alert: Rule) -> None:
    assert alert.alert is not None
    assert _receivers(amtool, alertname=alert.alert, stack="any", **alert.labels) == [
        *(["remediator"] if "remediation" in alert.labels else []),
        PEOPLE[alert.labels["severity"]],
    ]


def test_an_alert_without_a_known_severity_still_reaches_people(amtool: Run) -> None:
    assert _receivers(amtool, alertname="Stray") == ["team"]


def test_the_remediator_hears_of_each_alert_alone_at_once_and_again() -> None:
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


def test_the_remediator_is_told_the_end_of_an_alert_and_shown_a_credential_from_a_file() -> None:
    receiver = next(entry for entry in configuration()["receivers"] if entry["name"] == "remediator")
    hook = receiver["webhook_configs"][0]
    assert hook["send_resolved"] is True
    assert set(hook["http_config"]["authorization"]) == {"credentials_file"}


def test_no_inhibition_touches_an_alert_with_a_remediation() -> None:
    rules = configuration()["inhibit_rules"]
    assert rules
    assert all('remediation = ""' in rule["target_matchers"] for rule in rules)


def _receivers(amtool: Run, **labels: str) -> list[str]:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    result = amtool("config", "routes", "test", f"--config.file={CONFIG}", *pairs)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().split(",")
