"""Incidents without end, with the alerts of them, and the operator who closes breakers: work for the remediator."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg

from soak.environment import PRODUCT, REMEDIATOR, SoakEnvironment
from soak.inventory import DATABASE_TARGET, QUEUE, QUEUE_TARGET, RETRY, STACK, TERMINATE

EVERY_SECONDS = 1.0
RESOLVE_SECONDS = 60.0
_LABELS = [
    {"alertname": "IdleTransactions", "stack": STACK, "remediation": TERMINATE, "target": DATABASE_TARGET},
    {"alertname": "JobsFailed", "stack": STACK, "remediation": RETRY, "target": QUEUE_TARGET, "queue": QUEUE},
]
_NO_ANSWER = (aiohttp.ClientError, TimeoutError)
# The last is what the driver raises if the server ends the session just before a statement.
_NO_DATABASE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@asynccontextmanager
async def incidents(environment: SoakEnvironment, session: aiohttp.ClientSession) -> AsyncIterator[None]:
    """Cause incidents, and alert the remediator of them, as long as the block runs; then resolve the alerts."""
    since = datetime.now(UTC).isoformat()
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(each) for each in (_stay_idle(environment), _operate(environment, session, since))]
        yield
        for task in work:
            task.cancel()
    await _resolve(environment, session, since)


async def _stay_idle(environment: SoakEnvironment) -> None:
    """Keep a session idle in a transaction; after its end open the next one."""
    while True:
        with suppress(*_NO_DATABASE):
            await _one_session(environment.postgres.dsn(PRODUCT))
        await asyncio.sleep(EVERY_SECONDS)


async def _one_session(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        await connection.execute("BEGIN; SELECT 1")
        await ended.wait()
    finally:
        connection.terminate()


async def _operate(environment: SoakEnvironment, session: aiohttp.ClientSession, since: str) -> None:
    """Deliver the alerts, and close breakers, which runs that a fault struck have opened."""
    while True:
        with suppress(*_NO_ANSWER):
            await _ask(environment, session, "POST", "/webhook", _delivery(since, "firing"))
            for breaker in (await _ask(environment, session, "GET", "/api/v1/breakers"))["breakers"]:
                target = f"{breaker['remediation']}/{quote(breaker['target'])}"
                await _ask(environment, session, "DELETE", f"/api/v1/breakers/{target}")
        await asyncio.sleep(EVERY_SECONDS)


async def _resolve(environment: SoakEnvironment, session: aiohttp.ClientSession, since: str) -> None:
    """Deliver the end of the alerts until the remediator has stored it: until then it reports the lost delivery."""
    async with asyncio.timeout(RESOLVE_SECONDS):
        while True:
            with suppress(*_NO_ANSWER):
                await _ask(environment, session, "POST", "/webhook", _delivery(since, "resolved"))
                return
            await asyncio.sleep(EVERY_SECONDS)


async def _ask(
    environment: SoakEnvironment, session: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> Any:
    headers, url = {"Authorization": f"Bearer {environment.token}"}, environment.url(REMEDIATOR) + path
    async with session.request(method, url, json=body, headers=headers) as answer:
        answer.raise_for_status()
        return await answer.json() if answer.content_type == "application/json" else None


def _delivery(since: str, status: str) -> Mapping[str, Any]:
    """Return the alerts of both remediations."""
    ends = "0001-01-01T00:00:00Z" if status == "firing" else datetime.now(UTC).isoformat()
    common = {"status": status, "annotations": {}, "startsAt": since, "endsAt": ends}
    alerts = [{**common, "labels": labels, "fingerprint": labels["alertname"]} for labels in _LABELS]
    body = {"version": "4", "groupKey": "soak", "truncatedAlerts": 0, "receiver": "soak", "status": status}
    return {**body, "alerts": alerts}
