"""The five sets in deploy/runbooks load in real servers, which evaluate and route as written."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.prometheus import PrometheusServer
from tests.rules.healthy import SETS, STACKS
from tests.rules.rulebook import ROOT


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
    with urlopen(url, timeout=60) as response:  # noqa: S310 a server of this test
        return json.load(response)
