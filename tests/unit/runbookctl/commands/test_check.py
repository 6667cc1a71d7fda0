"""`runbookctl check` reads inventory, rules and routes together."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runbookctl.main import app
from tools.toolchain.paths import ROOT

INVENTORY = """\
alertmanager: {url: "http://127.0.0.1:9093"}
stacks:
  pmcrm:
    postgres: {main: {dsn: "postgresql://metrics@127.0.0.1/pmcrm"}}
    windows: {night: {days: [sun], from: "02:00", to: "04:00"}}
"""
ROUTE = """\
route: {{receiver: chat, routes: [{routes}]}}
receivers:
  - {{name: chat, slack_configs: [{{api_url_file: /tmp/x}}]}}
  - {{name: nobody}}
  - {{name: pager, pagerduty_configs: [{{routing_key_file: /tmp/x}}]}}
  - {{name: remediator, webhook_configs: [{{url: "http://127.0.0.1:9851/webhook"}}]}}
"""
REMEDIATOR = "{receiver: remediator, matchers: ['remediation != \"\"'], continue: %s, repeat_interval: %s}"


@pytest.fixture
def prometheus(tmp_path: Path) -> Path:
    """Return a configuration with the shipped rules and the thresholds of one stack."""
    (tmp_path / "alert_rules").symlink_to(ROOT / "alert_rules")
    file = tmp_path / "prometheus.yml"
    file.write_text("rule_files: [alert_rules/*.yml, alert_rules/thresholds/pmcrm.yml]\n")
    return file


def check(tmp_path: Path, *arguments: str, inventory: str = INVENTORY, code: int = 1) -> dict[str, Any]:
    file = tmp_path / "inventory.yml"
    file.write_text(inventory)
    result = CliRunner().invoke(app, ["check", "--config.file", str(file), "-o", "json", *arguments])
    assert result.exit_code == code, result.output
    answer: dict[str, Any] = json.loads(result.output)
    return answer


def problems(answer: dict[str, Any]) -> str:
    return "\n".join(each["problem"] for each in answer["findings"])


def with_route(tmp_path: Path, prometheus: Path, routes: str) -> dict[str, Any]:
    file = tmp_path / "alertmanager.yml"
    file.write_text(ROUTE.format(routes=routes))
    return check(tmp_path, "--prometheus", str(prometheus), "--alertmanager", str(file))


def test_alerts_with_a_remediation_that_reach_no_contact_are_named(tmp_path: Path, prometheus: Path) -> None:
    """The chat is the root's receiver: `continue: true` leads to siblings, not back to it."""
    answer = with_route(tmp_path, prometheus, REMEDIATOR % ("true", "5m"))
    assert "pmcrm: IdleInTransactionTooLong (warning, P2) reaches no contact, only remediator" in problems(answer)
    assert answer["recipients"]["pmcrm"]["DatabaseDown (critical, P0)"] == ["chat"]


def test_catch_all_sibling_makes_every_alert_reach_a_contact(tmp_path: Path, prometheus: Path) -> None:
    answer = with_route(tmp_path, prometheus, f"{REMEDIATOR % ('true', '5m')}, {{receiver: chat}}")
    assert "reaches no contact" not in problems(answer)
    assert answer["recipients"]["pmcrm"]["IdleInTransactionTooLong (warning, P2)"] == ["remediator", "chat"]


def test_receiver_without_integration_is_no_contact(tmp_path: Path, prometheus: Path) -> None:
    answer = with_route(tmp_path, prometheus, "{receiver: nobody}")
    assert "DatabaseDown (critical, P0) reaches no contact, only nobody" in problems(answer)
    assert "IdleInTransactionTooLong has the remediation terminate_idle_transactions, but does not" in problems(answer)


def test_repeat_interval_above_max_alert_age_is_named(tmp_path: Path, prometheus: Path) -> None:
    answer = with_route(tmp_path, prometheus, f"{REMEDIATOR % ('true', '4h')}, {{receiver: chat}}")
    assert "is repeated to the remediator every 4h, but max_alert_age is 10m" in problems(answer)


def test_page_by_alertmanager_and_by_the_escalation_is_named(tmp_path: Path, prometheus: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(ROUTE.format(routes="{receiver: pager}"))
    inventory = f'{INVENTORY}contacts: {{oncall: {{url: "pagerduty://key@region/source"}}}}\n'
    arguments = ("--prometheus", str(prometheus), "--alertmanager", str(file))
    assert "pages may be sent twice" in problems(check(tmp_path, *arguments, inventory=inventory))


def test_threshold_without_a_target_is_named(tmp_path: Path, prometheus: Path) -> None:
    answer = check(tmp_path, "--prometheus", str(prometheus))
    assert "pmcrm: runbook:bullmq_queue_failed_jobs:warning has no target to measure" in problems(answer)
    assert "runbook:pg_up" not in problems(answer)


def test_threshold_of_an_unknown_stack_and_stack_without_thresholds_are_named(tmp_path: Path, prometheus: Path) -> None:
    answer = check(tmp_path, "--prometheus", str(prometheus), inventory=INVENTORY.replace("pmcrm:", "shop:"))
    assert "thresholds of the stack 'pmcrm', which the inventory lacks" in problems(answer)
    assert "shop: no threshold, so no alert can fire" in problems(answer)


def test_window_that_a_freeze_covers_is_named(tmp_path: Path) -> None:
    more = """\
    freezes: {always: {from: "2020-01-01T00:00:00Z", to: "2099-01-01T00:00:00Z"}}
    remediations: {analyze_tables: {mode: shadow, only_in: night}}
"""
    answer = check(tmp_path, inventory=INVENTORY + more)
    assert "pmcrm: the window night of analyze_tables never opens outside a freeze" in problems(answer)


def test_misspelt_remediation_is_named(tmp_path: Path) -> None:
    more = "    remediations: {analyse_tables: {mode: shadow}}\n"
    assert "analyse_tables" in problems(check(tmp_path, inventory=INVENTORY + more))


def test_healthy_inventory_has_no_finding(tmp_path: Path) -> None:
    assert check(tmp_path, code=0) == {"recipients": {}, "findings": []}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("route: [", "not valid YAML"),
        ("- a", "not a mapping at its top level"),
        ("receivers: []", "not a configuration of Alertmanager"),
        (None, "cannot read it"),
    ],
)
def test_unusable_file_is_named(tmp_path: Path, prometheus: Path, text: str | None, error: str) -> None:
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    file = tmp_path / "alertmanager.yml"
    if text is not None:
        file.write_text(text)
    arguments = ["--config.file", str(tmp_path / "inventory.yml"), "--prometheus", str(prometheus)]
    result = CliRunner().invoke(app, ["check", *arguments, "--alertmanager", str(file)])
    assert error in str(result.exception)
    assert str(file) in str(result.exception)
