"""The committed rules in a real Prometheus that scrapes the exporter only: no rule fails, and no alert fires."""

import asyncio
import json
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

STACK = "pmcrm"
QUEUE = "email-queue"
QUIET_SECONDS = 6
RATES_SECONDS = 60


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
        (folder / f"db_backup_{made:%Y%m%d_%H%M%S}.sql.gz").write_bytes(b"a dump")
    return folder


@pytest.fixture
async def prometheus(start_exporter, start_prometheus, database, redis_url, api, backups, tmp_path):
    """Start Prometheus with the rules and one runbook's thresholds, scraping the exporter of a healthy stack."""
    database.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; CREATE TABLE contact (id int)")
    async with Redis.from_url(redis_url) as redis:
        await redis.hset(f"bull:{QUEUE}:meta", "opts.maxLenEvents", "10000")
    exporter = await start_exporter(_inventory(database.dsn(), redis_url, api, backups))
    shutil.copytree(CHECKOUT / "alert_rules", tmp_path / "alert_rules")
    meta = tmp_path / "alert_rules" / "meta.yml"
    meta.write_text(meta.read_text().replace("interval: 1m", "interval: 1s"))
    config: dict[str, Any] = yaml.safe_load((CHECKOUT / "deploy" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    del config["alerting"]
    config["rule_files"] = [
        *(f"{tmp_path}/{file}" for file in config["rule_files"] if "thresholds" not in file),
        f"{tmp_path}/alert_rules/thresholds/{STACK}.yml",
    ]
    config["scrape_configs"] = [
        job | {"scrape_timeout": "1s", "static_configs": [{"targets": [exporter.url.removeprefix("http://")]}]}
        for job in config["scrape_configs"]
        if job["job_name"] == "runbook_exporter"
    ]
    return start_prometheus(yaml.safe_dump(config))


async def test_healthy_stack_raises_no_alert_and_no_rule_fails(prometheus) -> None:
    """No alert may even be pending: one that is pending for a moment could fire some day."""
    began = time.monotonic()
    while found := await asyncio.to_thread(_firing_alerts, prometheus.url):
        assert time.monotonic() < began + RATES_SECONDS, found
        await asyncio.sleep(0.5)
    for _ in range(QUIET_SECONDS):
        await asyncio.sleep(1)
        assert await asyncio.to_thread(_firing_alerts, prometheus.url) == []
    rules = await asyncio.to_thread(_rules, prometheus.url)
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    measured = await asyncio.to_thread(_measured_quantities, prometheus.url)
    assert {"pg_up", "redis_up", "bullmq_queue_failed_jobs", "probe_success", "backup_age_seconds"} <= measured


def _firing_alerts(url: str) -> list[str]:
    alerts = json.loads(request(f"{url}/api/v1/alerts"))["data"]["alerts"]
    # Before the first scrape every metric is missing.
    return ["nothing is measured yet"] if not _measured_quantities(url) else [str(alert["labels"]) for alert in alerts]


def _rules(url: str) -> list[Mapping[str, Any]]:
    groups = json.loads(request(f"{url}/api/v1/rules"))["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _measured_quantities(url: str) -> set[str]:
    result = json.loads(request(f"{url}/api/v1/query?query=stack_quantity_kind:measured:group"))["data"]["result"]
    return {series["metric"]["quantity"] for series in result}


def _inventory(dsn: str, redis_url: str, api: str, backups: Path) -> str:
    pattern = "db_backup_%Y%m%d_%H%M%S.sql.gz"
    stack = {
        "runbook_url": "https://runbooks.example/pmcrm",
        "postgres": {"main": {"dsn": dsn}},
        "redis": {"main": {"url": redis_url}},
        "queues": {"jobs": {"redis": "main", "prefix": "bull", "names": "discover", "refresh": "1s"}},
        "backups": {"nightly": {"url": f"file://{backups}", "pattern": pattern, "refresh": "1s"}},
        "http": {"api": {"url": api}},
    }
    return yaml.safe_dump({"stacks": {STACK: stack}})
