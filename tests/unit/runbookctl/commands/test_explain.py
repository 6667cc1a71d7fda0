"""`runbookctl explain`: reads declarations only, so no server listens at the addresses."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exporter.bullmq.collector import QueuesCollector
from exporter.redis.collector import RedisCollector
from exporter.redis.metrics import PREFIX_METRICS
from exporter.scheduling.job_lane import METRICS as JOB_METRICS
from exporter.scrape import TARGET_METRICS
from exporter.series import MAX_SERIES
from runbookctl.main import app, console, main

OWN = len(TARGET_METRICS)
# All queue metrics are per queue, except two.
QUEUES = len(QueuesCollector.metrics) - 2
# Redis metrics without those of prefixes; two of the labelled ones have at most one series.
SINGLE = [metric for metric in RedisCollector.metrics if not metric.labels]
SEVERAL = [metric for metric in RedisCollector.metrics if metric.labels and metric not in PREFIX_METRICS]
INVENTORY = """\
stacks:
  shop:
    postgres: {main: {dsn: "postgresql://metrics:hunter2@127.0.0.1:1/shop"}}
    redis: {main: {url: "redis://metrics:hunter2@127.0.0.1:1"}}
    queues:
      listed: {redis: main, names: [emails, images]}
      found: {redis: main, refresh: 90s}
    backups: {nightly: {url: "s3://bucket/", pattern: "%Y%m%d"}}
    http: {api: {url: "http://127.0.0.1:1/"}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "inventory.yml"
    file.write_text(INVENTORY)
    return file


def explain(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["explain", *arguments], catch_exceptions=False, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def test_explain_lists_every_target_with_its_cost(file: Path) -> None:
    answer = json.loads(explain("--config.file", str(file), "-o", "json"))
    found = {f"{each['collector']}/{each['target']}": each for each in answer["targets"]}
    costs = {name: (each["round_trips"], each["refresh_seconds"], each["series"]) for name, each in found.items()}
    round_trips, refresh, series = costs.pop("postgres/main")
    assert (round_trips, refresh) == (1, None)
    assert 5_000 < series <= 10_000  # whatever the server holds
    assert costs == {
        "redis/main": (1, None, len(SINGLE) + 2 + (len(SEVERAL) - 2) * MAX_SERIES + OWN),
        "queues/listed": (2, None, 2 + 2 * 8 + 2 * (QUEUES - 1) + OWN),
        "queues/found": (2, 90, 2 + (QUEUES + 7) * MAX_SERIES + OWN),
        "backups/nightly": (0, 300, 18 + 4 + 9 + 2 * 7 + OWN),
        "http/api": (1, None, 12 + 5 + 1 + 1 + OWN),  # phases, TLS, the version
    }
    assert found["http/api"]["families"][:3] == ["probe_success", "probe_duration_seconds", "probe_http_status_code"]
    assert answer["series"] == sum(each["series"] for each in answer["targets"])


def postgres(file: Path) -> dict[str, Any]:
    targets = json.loads(explain(f"--config.file={file}", "-o", "json"))["targets"]
    [target] = [each for each in targets if each["collector"] == "postgres"]
    return target


def test_explain_counts_the_users_queries(file: Path) -> None:
    without = postgres(file)
    query = "{sql: SELECT 1, values: {a: {help: A.}, b: {help: B.}}, labels: [c], max_rows: 10}"
    file.write_text(INVENTORY.replace('127.0.0.1:1/shop"}', f'127.0.0.1:1/shop", queries: {{own: {query}}}}}'))
    target = postgres(file)
    assert target["jobs"] == [*without["jobs"], "queries.own"]
    assert target["families"][-3:] == ["custom_own_a", "custom_own_b", "runbook_exporter_query_rows_left_out"]
    assert target["series"] == without["series"] + 2 * 10 + 1 + len(JOB_METRICS)
    assert f"{len(target['jobs'])} jobs, one at a time" in explain(f"--config.file={file}")


def test_explain_prints_a_table_without_secrets(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "width", 160)
    text = explain(f"--config.file={file}")
    [line] = [line for line in text.splitlines() if "shop/queues/found" in line]
    background = "every 1m30s, 1 SCAN for 500 keys of the server"
    series = f"{2 + (QUEUES + 7) * MAX_SERIES + OWN:,}"
    assert line.split() == ["shop/queues/found", "2", str(2 + QUEUES), series, *background.split()]
    assert "6 targets, at most " in text
    assert "hunter2" not in text


def test_unusable_inventory_exits_2_and_names_the_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(INVENTORY.replace("redis:", "reddis:", 1))
    monkeypatch.setattr(sys, "argv", ["runbookctl", "explain", "--config.file", str(file)])
    assert main() == 2
    assert f"{file}:4: stacks.shop.reddis: unknown key; did you mean 'redis'?\n" in capsys.readouterr().err


def test_missing_inventory_exits_2_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("RUNBOOK_CONFIG_FILE", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    result = CliRunner().invoke(app, ["explain"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "no inventory" in result.output
