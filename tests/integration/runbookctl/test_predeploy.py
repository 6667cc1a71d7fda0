"""`predeploy` queries a real Prometheus and the remediator."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from demo.servers.prometheus import PrometheusServer
from runbookctl.main import app
from tests.unit.runbookctl.conftest import SHOP, Ctl, contacts, ctl, remediator, separate_logs

__all__ = ["contacts", "ctl", "remediator", "separate_logs"]

Check = Callable[..., tuple[int, str]]


def answer(url: str) -> bytes:
    with urllib.request.urlopen(url) as response:  # noqa: S310 a server of this test
        return bytes(response.read())


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Prometheus whose rules give the series of four stacks."""
    folder = tmp_path_factory.mktemp("prometheus")
    series = [
        ("stack_target_kind:backup_age_seconds:min", {"stack": "shop", "target": "nightly", "kind": "full"}, 1800),
        ("stack_target_kind:backup_age_seconds:min", {"stack": "shop", "target": "old", "kind": "full"}, 99999),
        ("stack_target:probe_success:max", {"stack": "shop", "target": "api"}, 1),
        (
            "ALERTS",
            {"stack": "shop", "alertname": "SlowDatabaseQueries", "severity": "info", "alertstate": "firing"},
            1,
        ),
        ("ALERTS", {"stack": "shop", "alertname": "HighErrorRate", "severity": "critical", "alertstate": "pending"}, 1),
        ("stack_target_kind:backup_age_seconds:min", {"stack": "bad", "target": "nightly", "kind": "full"}, 90000),
        ("stack_target:probe_success:max", {"stack": "bad", "target": "api"}, 0),
        (
            "ALERTS",
            {
                "stack": "bad",
                "alertname": "RedisDown",
                "severity": "critical",
                "alertstate": "firing",
                "target": "main",
            },
            1,
        ),
        (
            "ALERTS",
            {
                "stack": "bad",
                "alertname": "MetricMissing",
                "severity": "warning",
                "alertstate": "firing",
                "quantity": "redis_up",
            },
            1,
        ),
    ]
    rules = [{"record": name, "labels": labels, "expr": f"vector({value})"} for name, labels, value in series]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "series", "rules": rules}]}))
    config = folder / "prometheus.yml"
    config.write_text(f"global: {{evaluation_interval: 1s}}\nrule_files: [{folder / 'rules.yml'}]\n")
    server = PrometheusServer(folder / "data", config)
    server.start()
    deadline = time.monotonic() + 60
    while b'"bad"' not in answer(f"{server.url}/api/v1/query?query=ALERTS"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield server.url
    server.stop()


@pytest.fixture
def shops() -> dict[str, Any]:
    """Return a stack that is well, one that is in trouble, and one that nothing measures."""
    return {"shop": SHOP, "bad": {}, "new": {}}


@pytest.fixture
def check(remediator: str, prometheus: str, tmp_path: Path) -> Check:
    def run(*words: str) -> tuple[int, str]:
        connection = ["--url", remediator, "--token-file", str(tmp_path / "oncall")]
        result = CliRunner().invoke(app, [*connection, "predeploy", "--prometheus", prometheus, *words])
        return result.exit_code, result.output or str(result.exception)

    return run


def test_stack_with_a_recent_backup_and_no_alert_is_ready(check: Check) -> None:
    assert check("shop") == (0, "shop is ready: backup, alerts, endpoints and pauses are fine\n")


def test_backup_older_than_the_limit_and_a_pause_are_reasons(check: Check, ctl: Ctl) -> None:
    ctl("pause", "--reason", "migration")
    code, text = check("shop", "--backup-within", "10m")
    assert code == 1
    assert text.splitlines() == [
        "shop is not ready:",
        "- the newest full backup is 0.5 h old, and at most 0.2 h are allowed",
        "- remediation is paused: migration",
    ]


def test_every_reason_is_listed_at_once_and_as_json(check: Check) -> None:
    code, text = check("bad", "--output", "json")
    assert code == 1
    assert json.loads(text) == {
        "ready": False,
        "reasons": [
            "the newest full backup is 25.0 h old, and at most 1.0 h are allowed",
            "MetricMissing (warning) fires for redis_up",
            "RedisDown (critical) fires for main",
            "the endpoint api does not answer as expected",
        ],
    }


def test_stack_that_is_not_measured_is_not_ready(check: Check) -> None:
    code, text = check("new")
    assert code == 1
    assert "no full backup is measured" in text
    assert "no endpoint is measured" in text


@pytest.mark.parametrize("name", ["shp", 'shop"} or vector(1) #'])
def test_unknown_stack_is_refused_before_anything_is_judged(check: Check, name: str) -> None:
    code, text = check(name)
    assert code == 1
    assert text.startswith(f"the inventory has no stack {name!r}; ")
