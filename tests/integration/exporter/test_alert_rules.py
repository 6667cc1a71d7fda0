"""The committed rules in a real Prometheus that scrapes the exporter only: no rule fails, and no alert fires."""

import asyncio
import json
import re
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from redis.asyncio import Redis

from demo.paths import CHECKOUT
from demo.servers.http import request
from tests.starter import full_texts

QUEUE = "email-queue"
QUIET_SECONDS = 6
LIMIT_SECONDS = 90
"""Rates need several scrapes, and a busy machine misses one."""


@pytest.fixture
async def api():
    """Serve the product's health endpoint."""

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    application = web.Application()
    application.router.add_get("/health", healthy)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/health"
    await runner.cleanup()


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """Return a folder with a dump of last night and one of the night before."""
    folder = tmp_path / "backups"
    folder.mkdir()
    for hours in (6, 30):
        made = datetime.now(UTC) - timedelta(hours=hours)
        for ending in ("sql.gz", "dump"):
            (folder / f"db_backup_{made:%Y%m%d_%H%M%S}.{ending}").write_bytes(b"a dump")
    return folder


@pytest.fixture(params=["pmcrm", "init"])
async def prometheus(request, start_exporter, start_prometheus, database, redis_url, api, backups, tmp_path):
    """Start Prometheus with the rules and one file of thresholds, scraping the exporter of a healthy stack.

    The thresholds are those of a runbook, or those of `runbookctl init` with its inventory.
    """
    database.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; CREATE TABLE contact (id int)")
    async with Redis.from_url(redis_url) as redis:
        await redis.hset(f"bull:{QUEUE}:meta", "opts.maxLenEvents", "10000")
    write = _pmcrm if request.param == "pmcrm" else _starter
    exporter = await start_exporter(write(database.dsn(), redis_url, api, backups, tmp_path / "thresholds.yml"))
    shutil.copytree(CHECKOUT / "alert_rules", tmp_path / "alert_rules")
    for file in (tmp_path / "alert_rules").glob("*.yml"):
        file.write_text(re.sub(r"^    interval: \w+", "    interval: 1s", file.read_text(), flags=re.MULTILINE))
    config: dict[str, Any] = yaml.safe_load((CHECKOUT / "deploy" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    del config["alerting"]
    config["rule_files"] = [f"{tmp_path}/{file}" for file in config["rule_files"]]
    config["scrape_configs"] = [
        job | {"scrape_timeout": "1s", "static_configs": [{"targets": [exporter.url.removeprefix("http://")]}]}
        for job in config["scrape_configs"]
        if job["job_name"] == "runbook_exporter"
    ]
    return start_prometheus(yaml.safe_dump(config))


async def test_healthy_stack_raises_no_alert_and_no_rule_fails(prometheus) -> None:
    """No alert may even be pending: one that is pending for a moment could fire some day."""
    began = quiet_since = time.monotonic()
    while time.monotonic() < quiet_since + QUIET_SECONDS:
        if found := await asyncio.to_thread(_firing_alerts, prometheus.url):
            assert time.monotonic() < began + LIMIT_SECONDS, found
            quiet_since = time.monotonic()
        await asyncio.sleep(0.5)
    rules = await asyncio.to_thread(_rules, prometheus.url)
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    measured = await asyncio.to_thread(_measured_quantities, prometheus.url)
    assert {"pg_up", "redis_up", "bullmq_queue_failed_jobs", "probe_success", "backup_age_seconds"} <= measured


def _firing_alerts(url: str) -> list[str]:
    alerts = json.loads(request(f"{url}/api/v1/alerts"))["data"]["alerts"]
    # The runbook has numbers for an application that does not run here, and a note says so.
    note = {"alertname": "ThresholdUnmeasured", "stack": "pmcrm"}
    found = [str(alert["labels"]) for alert in alerts if not note.items() <= alert["labels"].items()]
    # Before the first scrape every metric is missing.
    return found if _measured_quantities(url) else ["nothing is measured yet"]


def _rules(url: str) -> list[Mapping[str, Any]]:
    groups = json.loads(request(f"{url}/api/v1/rules"))["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _measured_quantities(url: str) -> set[str]:
    result = json.loads(request(f"{url}/api/v1/query?query=stack_quantity_kind:measured:group"))["data"]["result"]
    return {series["metric"]["quantity"] for series in result}


def _pmcrm(dsn: str, redis_url: str, api: str, backups: Path, thresholds: Path) -> str:
    shutil.copy(CHECKOUT / "alert_rules" / "thresholds" / "pmcrm.yml", thresholds)
    pattern = "db_backup_%Y%m%d_%H%M%S.sql.gz"
    stack = {
        "runbook_url": "https://runbooks.example/pmcrm",
        "postgres": {"main": {"dsn": dsn}},
        "redis": {"main": {"url": redis_url}},
        "queues": {"jobs": {"redis": "main", "prefix": "bull", "names": "discover", "refresh": "1s"}},
        "backups": {"nightly": {"url": f"file://{backups}", "pattern": pattern, "refresh": "1s"}},
        "http": {"api": {"url": api}},
    }
    return yaml.safe_dump({"stacks": {"pmcrm": stack}})


def _starter(dsn: str, redis_url: str, api: str, backups: Path, thresholds: Path) -> str:
    """Return the inventory of `init` with the addresses of the test, and with all that it has commented out."""
    texts = full_texts(backups)
    thresholds.write_text(texts["thresholds.yml"])
    inventory = yaml.safe_load(texts["inventory.yml"])
    stack = inventory["stacks"]["shop"]
    stack["postgres"]["main"] = {"dsn": dsn}
    stack["redis"]["main"] = {"url": redis_url}
    stack["queues"]["jobs"]["refresh"] = "1s"
    pattern = stack["backups"]["nightly"]["pattern"]
    stack["backups"]["nightly"] = {"url": f"file://{backups}", "pattern": pattern, "refresh": "1s"}
    stack["http"]["api"]["url"] = api
    return yaml.safe_dump(inventory)
