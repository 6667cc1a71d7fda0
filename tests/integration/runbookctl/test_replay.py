"""`replay` of a real Prometheus with a past of two days: firings, sizes, thresholds, coverage, and what goes wrong."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import nan
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from demo.servers.prometheus import PrometheusServer
from runbookctl.main import app
from runbookctl.replay.past_alerts import read_coverage
from runbookctl.replay.prometheus import Access, open_prometheus
from tests.integration.runbookctl.past import WrittenPast, prometheus_with

UNTIL = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
SINCE = UNTIL - timedelta(days=2)
IDLE = {"alertname": "IdleInTransactionTooLong", "stack": "shop", "target": "main"}
IDLE |= {"remediation": "terminate_idle_transactions", "severity": "warning"}
OWN = {"alertname": "ApiStuck", "instance": "api-1:8080"}
INVENTORY = """
alertmanager: {url: http://127.0.0.1:1}
stacks:
  shop:
    runbook_url: https://runbooks.example/shop
    postgres: {main: {dsn: postgresql://127.0.0.1:1/shop}}
    redis: {main: {url: redis://127.0.0.1:1}}
    queues: {jobs: {redis: main}}
    services: {api: {systemd: {unit: api.service}}}
    remediations:
      terminate_idle_transactions: {mode: shadow, cooldown: 30m}
"""


def at(hours: float) -> datetime:
    return SINCE + timedelta(hours=hours)


def written_past() -> WrittenPast:
    """Return a past without its first 12 hours: three firings, of which one meets too many sessions.

    A backfilled series has no mark of its end, so Prometheus shows each for 5 minutes longer.
    """
    past = WrittenPast()
    past.write("up", {"job": "node"}, at(12), UNTIL, 1, timedelta(minutes=1))
    for start, minutes in ((20, 20), (30, 2), (40, 10)):
        past.fires(IDLE, at(start), at(start) + timedelta(minutes=minutes))
    past.fires(OWN, at(44), at(44.25))
    for queue, hour in (("mail", 45), ("mail", 46), ("reports", 47)):
        past.fires({"alertname": "JobsFailed", "queue": queue}, at(hour), at(hour + 0.25))
    for state, hours, value in (("idle in transaction", (19, 35), 4), ("idle in transaction", (35, 42), 40)):
        labels = {"stack": "shop", "target": "main", "datname": "shop", "state": state}
        past.write("pg_connections", labels, at(hours[0]), at(hours[1]), value)
    failed = {"stack": "shop", "target": "jobs", "queue": "reports", "state": "failed"}
    past.write("bullmq_queue_jobs", failed, at(46.9), at(47.5), nan)
    past.fires({name: IDLE[name] for name in IDLE if name != "stack"}, at(15), at(15.1))
    for limit, labels in (
        ("runbook:pg_idle_in_transaction_max_age_seconds:warning", {"stack": "shop"}),
        ("runbook:of_all_stacks:warning", {"kind": "own"}),
    ):
        past.write(limit, labels, at(12), at(25), 300, timedelta(minutes=1))
        past.write(limit, labels, at(25), UNTIL, 60, timedelta(minutes=1))
    return past


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with prometheus_with(written_past(), tmp_path_factory.mktemp("past")) as server:
        yield server


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    file = tmp_path / "inventory.yml"
    file.write_text(INVENTORY, encoding="utf-8")
    return file


def replay(url: str, inventory: Path, *options: str) -> Result:
    common = ["--prometheus", url, "--config.file", str(inventory), "--since", "2d", "--until", UNTIL.isoformat()]
    return CliRunner().invoke(app, ["replay", *common, *options])


def replay_json(url: str, inventory: Path, *options: str) -> Any:
    result = replay(url, inventory, "--output", "json", *options)
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_a_replay_counts_what_each_remediation_would_have_done(prometheus: PrometheusServer, inventory: Path) -> None:
    report = replay_json(prometheus.url, inventory)
    [idle] = report["present"]["remediations"]
    assert (idle["mode"], idle["episodes"], idle["acted"], idle["first"]) == ("auto", 3, 2, 2)
    assert [(each["bound"], each["times"]) for each in idle["refused"]] == [("max_items", 1)]
    [refused_at] = idle["refused"][0]["at"]
    assert abs(datetime.fromisoformat(refused_at) - at(40)) < timedelta(seconds=20)
    assert (idle["sizes"], idle["short"], idle["items"]) == ({"measured": 3}, 0, 8)
    assert report["present"]["storms"] == []


def test_the_report_says_how_much_of_the_time_has_data_and_which_thresholds_changed(
    prometheus: PrometheusServer, inventory: Path
) -> None:
    result = replay(prometheus.url, inventory)
    assert result.exit_code == 0, result.output
    assert re.search(r"data for 1d12h\S* of 2d \(7[56]%\)", result.output), result.output
    assert "warning of shop was 300, then 60: alerts fired by the number of their time" in result.output
    assert "note: runbook:of_all_stacks:warning was 300, then 60: alerts fired" in result.output
    assert "  terminate_idle_transactions on /postgres/main" in result.output
    assert "would have acted 2 times in 3 episodes: 2 first runs, no repetitions" in result.output
    assert f"refused by max_items: once ({at(40):%Y-%m-%d %H:%M})" in result.output


def test_a_past_of_minutes_counts_as_data(prometheus: PrometheusServer) -> None:
    async def covered(until: datetime) -> timedelta:
        async with open_prometheus(Access(prometheus.url)) as source:
            return await read_coverage(source, SINCE, until)

    assert asyncio.run(covered(at(12) + timedelta(minutes=4))) == timedelta(minutes=5)
    assert asyncio.run(covered(at(13))) == timedelta(hours=1, minutes=5)


def test_a_changed_setting_is_shown_beside_the_present_one(prometheus: PrometheusServer, inventory: Path) -> None:
    change = "stacks.shop.remediations.terminate_idle_transactions.{}"
    report = replay_json(
        prometheus.url, inventory, "--set", change.format("max_items=50"), "--set", change.format("min_firing=8m")
    )
    [before], [after] = report["present"]["remediations"], report["changed"]["remediations"]
    assert (before["acted"], after["acted"], after["gone"]) == (2, 2, 1)
    assert [(each["before"], each["after"]) for each in report["changed_episodes"]] == [
        ("acted 1x", "acted 1x, deferred (min_firing)"),
        ("acted 1x", "deferred (min_firing)"),
        ("refused (max_items)", "acted 1x, deferred (min_firing)"),
    ]


def test_an_alert_of_ones_own_is_replayed_with_what_would_repair_it(
    prometheus: PrometheusServer, inventory: Path
) -> None:
    left_out = "not replayed, because no label remediation or --alert says what would repair it: ApiStuck, JobsFailed"
    assert left_out in replay_json(prometheus.url, inventory)["source"]["notes"]
    report = replay_json(prometheus.url, inventory, "--alert", "ApiStuck=restart_service@shop/services/api")
    assert not any("ApiStuck" in note for note in report["source"]["notes"])
    services = [each for each in report["present"]["remediations"] if each["remediation"] == "restart_service"]
    assert [(each["episodes"], each["acted"] > 0, each["sizes"]) for each in services] == [
        (1, True, {"declared": services[0]["sizes"]["declared"]})
    ]


@pytest.mark.parametrize(
    ("target", "episodes"), [("shop/queues/jobs/mail", 2), ("shop/queues/jobs/reports", 1), ("shop/queues/jobs", 3)]
)
def test_an_alert_of_ones_own_is_about_the_named_queue_or_its_own(
    prometheus: PrometheusServer, inventory: Path, target: str, episodes: int
) -> None:
    report = replay_json(prometheus.url, inventory, "--alert", f"JobsFailed=retry_failed_jobs@{target}")
    [retried] = [each for each in report["present"]["remediations"] if each["remediation"] == "retry_failed_jobs"]
    assert retried["episodes"] == episodes
    assert set(retried["sizes"]) == {"unknown"}, "a sample that is not a number is no size"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("remediations.terminate_idle_transactions.older_than=2h", "sizes of past plans do not follow it"),
        ("remediations.terminate_idle_transactions.block_on=[ApiStuck]", "a replay sees only the alerts"),
        ("postgres={}", "changed: no alert is about a target that the inventory has"),
    ],
)
def test_a_change_whose_effect_a_replay_cannot_know_is_told(
    prometheus: PrometheusServer, inventory: Path, change: str, expected: str
) -> None:
    result = replay(prometheus.url, inventory, "--set", f"stacks.shop.{change}")
    assert expected in result.output, result.output


def test_an_alert_that_never_names_the_queue_is_told(prometheus: PrometheusServer, inventory: Path) -> None:
    result = replay(prometheus.url, inventory, "--alert", "JobsFailed=retry_failed_jobs@shop/queues/jobs/mial")
    assert result.exit_code == 1
    assert "JobsFailed: this alert did not fire for the queue mial" in str(result.exception or result.output)


def test_the_modes_of_the_inventory_can_be_kept(prometheus: PrometheusServer, inventory: Path) -> None:
    [idle] = replay_json(prometheus.url, inventory, "--mode", "inventory")["present"]["remediations"]
    assert (idle["mode"], idle["acted"], idle["would_act_in_shadow"]) == ("shadow", 0, 2)


def test_pages_of_any_size_give_the_same_report(
    prometheus: PrometheusServer, inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replay_json(prometheus.url, inventory)
    monkeypatch.setattr("runbookctl.replay.prometheus.MAX_POINTS", 97)
    assert replay_json(prometheus.url, inventory) == whole
