"""The five sets in deploy/runbooks load in real servers, and a healthy stack is quiet with each."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen

import pytest
import yaml

from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.prometheus import PrometheusServer
from runbookctl.starter.runbook_sets import Runbook, runbook_set
from tests.rules.healthy import JOBS, SETS, STACKS, healthy_series, jobs_of, targets_of
from tests.rules.rulebook import ROOT, THRESHOLDS, adapter_files, subsystem_files, thresholds
from tests.rules.tools import RunTool
from tools.docs.runbook_routes import runbook_routes

OTHERS = re.compile(r"(application|host|service|elasticsearch|tls)_.+|pg_checksum_failures|redis_hit_ratio")


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[PrometheusServer, AlertmanagerServer]]]:
    """Start a Prometheus and an Alertmanager of each set, all at once."""
    pairs = {stack: _pair(stack, tmp_path_factory.mktemp(stack)) for stack in STACKS}
    servers = [server for pair in pairs.values() for server in pair]
    with ExitStack() as stopped:
        for server in servers:
            stopped.callback(server.stop)
            server.launch()
        for server in servers:
            server.wait()
        yield pairs


@pytest.mark.parametrize("stack", STACKS)
def test_prometheus_evaluates_every_rule_of_a_set_without_error(running: Any, stack: str) -> None:
    prometheus, alertmanager = running[stack]
    expected = [f"{alertmanager.url}/api/v2/alerts"]
    deadline = time.monotonic() + 60
    while (rules := _unhealthy_rules(prometheus)) or _alertmanagers(prometheus) != expected:
        assert time.monotonic() < deadline, rules[:3]
        assert not [rule for rule in rules if rule["health"] == "err"]
        time.sleep(0.5)


@pytest.mark.parametrize("stack", STACKS)
def test_alertmanager_runs_with_the_routes_of_a_set(running: Any, stack: str) -> None:
    loaded = yaml.safe_load(_answer(f"{running[stack][1].url}/api/v2/status")["config"]["original"])
    written = yaml.safe_load((SETS / stack / "alertmanager.yml").read_text())
    assert [route["receiver"] for route in loaded["route"]["routes"]] == [
        route["receiver"] for route in written["route"]["routes"]
    ]


@pytest.mark.parametrize("stack", STACKS)
def test_healthy_stack_is_quiet_but_for_what_its_set_does_not_scrape(
    promtool: RunTool, tmp_path: Path, stack: str
) -> None:
    """Four hours of a healthy stack, with the targets of the inventory and the jobs of the set."""
    file = tmp_path / "healthy.yml"
    file.write_text(yaml.safe_dump(_healthy(stack), width=1000))
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("stack", STACKS)
def test_set_has_every_target_that_its_thresholds_judge(stack: str) -> None:
    inventory = targets_of(stack)
    kinds = {target.get("kind", "full") for target in inventory["backups"].values()}
    for number in (rule for rule in thresholds() if rule.labels["stack"] == stack):
        kind = {"pg": "postgres", "redis": "redis", "bullmq": "queues", "probe": "http"}.get(
            number.quantity.split("_")[0]
        )
        assert kind is None or inventory[kind], number.quantity
        assert "kind" not in number.labels or number.labels["kind"] in kinds, number


@pytest.mark.parametrize("stack", STACKS)
def test_every_mode_of_a_set_is_shadow_and_names_what_the_runbook_implies(stack: str) -> None:
    text = (SETS / stack / "inventory.yml").read_text()
    lines = [line for line in text.splitlines() if "mode:" in line]
    assert lines
    assert all(re.search(r"mode: shadow\b.*# runbook: (auto|approve)$", line) for line in lines)
    written = yaml.safe_load(runbook_set(cast("Runbook", stack), stack, "runbook")["inventory.yml"])
    modes = written["stacks"][stack]["remediations"]
    assert {settings["mode"] for settings in modes.values()} <= {"auto", "approve"}


@pytest.mark.parametrize("stack", STACKS)
def test_set_contains_no_number_that_a_threshold_states(stack: str) -> None:
    assert not re.search(r"\b(record|expr):", "".join(file.read_text() for file in (SETS / stack).iterdir()))


@pytest.mark.parametrize("stack", STACKS)
def test_page_reaches_the_pager_once(stack: str) -> None:
    """Alertmanager pages, so the ladder begins with the chat."""
    document = yaml.safe_load((SETS / stack / "inventory.yml").read_text())
    assert document["stacks"][stack]["escalation"]["first"] == {"contacts": ["chat"]}
    assert not [name for name in document["contacts"] if "pager" in name]


def test_alertmanager_files_match_the_common_routes() -> None:
    """Run `make docs` to fix it."""
    for file, text in runbook_routes():
        assert file.read_text(encoding="utf-8") == text, file


def _pair(stack: str, folder: Path) -> tuple[PrometheusServer, AlertmanagerServer]:
    alertmanager = AlertmanagerServer(folder / "alertmanager", SETS / stack / "alertmanager.yml")
    config = yaml.safe_load((SETS / stack / "prometheus.yml").read_text())
    config["rule_files"] = [str(ROOT / pattern) for pattern in config["rule_files"]]
    address = alertmanager.url.removeprefix("http://")
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [address]}]}]
    # Groups are evaluated at a random time within their interval, so this makes the first evaluation come soon.
    config["global"] |= {"evaluation_interval": "1s"}
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return PrometheusServer(folder / "prometheus", file), alertmanager


def _unhealthy_rules(prometheus: PrometheusServer) -> list[dict[str, Any]]:
    """Return the rules with an error or, in groups of a short interval, not evaluated yet."""
    groups = _answer(f"{prometheus.url}/api/v1/rules")["data"]["groups"]
    return [
        rule
        for group in groups
        for rule in group["rules"]
        if rule["health"] == "err" or (rule["health"] != "ok" and group["interval"] <= 1)
    ]


def _alertmanagers(prometheus: PrometheusServer) -> list[str]:
    active = _answer(f"{prometheus.url}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    return [entry["url"] for entry in active]


def _answer(url: str) -> Any:
    with urlopen(url, timeout=10) as response:  # noqa: S310 a server of this test
        return json.load(response)


def _healthy(stack: str) -> dict[str, Any]:
    series = healthy_series(stack)
    unmeasured = sorted(_unmeasured(stack))
    quiet = 'ALERTS{alertname!="ThresholdUnmeasured"}'
    return {
        "rule_files": [str(file) for file in [*subsystem_files(), *adapter_files(), THRESHOLDS / f"{stack}.yml"]],
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {"expr": quiet, "eval_time": "4h", "exp_samples": []},
                    {
                        "expr": "count by (quantity) (stack_quantity:unmeasured:group)",
                        "eval_time": "4h",
                        "exp_samples": [{"labels": f'{{quantity="{name}"}}', "value": 1} for name in unmeasured],
                    },
                ],
            }
        ],
    }


def _unmeasured(stack: str) -> set[str]:
    needed = {
        rule.quantity for rule in thresholds() if rule.labels["stack"] == stack and OTHERS.fullmatch(rule.quantity)
    }
    brought = {quantity for job in jobs_of(stack) for quantity in JOBS[job]}
    brought |= {"tls_certificate_remaining_seconds"} if targets_of(stack)["http"] else set()
    brought |= {
        quantity for quantity in needed if quantity.startswith("elasticsearch_") and targets_of(stack)["search"]
    }
    shared = bool(targets_of(stack)["queues"])
    brought |= {"application_errors_per_hour"} if targets_of(stack)["numbers"] else set()
    return needed - brought - ({"redis_hit_ratio"} if not shared else set())
