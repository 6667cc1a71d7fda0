"""Checks that every part of the demo does its work, not only that it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp
import asyncpg

from demo.errors import DemoNotReady
from demo.metrics import ExporterPage
from demo.paths import DemoPaths
from demo.polling import poll
from demo.ports import Ports
from demo.product.web import APPLICATION, SESSIONS
from demo.running import TIMEOUT_SECONDS, Demo

READY_SECONDS = 30
READY_QUERY = "count(pg_up == 1) and count(runbook:backup_age_seconds:critical)"
UP = ("pg_up", "redis_up", "bullmq_up", "backup_up", "probe_success")


async def _exporter_measures(demo: Demo) -> bool:
    page = ExporterPage(await demo.text("exporter", "/metrics", stack="shop"))
    return all(set(page.values(metric, stack="shop")) == {1} for metric in UP)


async def _prometheus_evaluates(demo: Demo) -> bool:
    targets = (await demo.get("prometheus", "/api/v1/targets", state="active"))["data"]["activeTargets"]
    answer = await demo.get("prometheus", "/api/v1/query", query=READY_QUERY)
    return bool(answer["data"]["result"]) and all(target["health"] == "up" for target in targets)


async def _product_connected(demo: Demo) -> bool:
    async with demo.database() as connection:
        sessions = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", APPLICATION
        )
    return bool(sessions == SESSIONS)


CHECKS: dict[str, Callable[[Demo], Awaitable[bool]]] = {
    "the exporter measures every target": _exporter_measures,
    "Prometheus has scraped both daemons and evaluated the rules": _prometheus_evaluates,
    "the product's sessions are connected": _product_connected,
}


async def _passes(demo: Demo, check: Callable[[Demo], Awaitable[bool]]) -> bool:
    try:
        return await check(demo)
    except (aiohttp.ClientError, OSError, TimeoutError, asyncpg.PostgresError):
        return False


async def wait_until_ready(paths: DemoPaths, ports: Ports) -> None:
    """Wait until every check passes.

    Raises:
        DemoNotReady: lists the checks that did not pass in time.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as http:
        demo = Demo(paths, ports, http)
        polls = (poll(partial(_passes, demo, check), bool, READY_SECONDS) for check in CHECKS.values())
        results = await asyncio.gather(*polls)
    missing = [name for name, true in zip(CHECKS, results, strict=True) if not true]
    if missing:
        raise DemoNotReady(
            f"checks did not pass within {READY_SECONDS} s: {'; '.join(missing)}; see the logs in {paths.parts}"
        )
