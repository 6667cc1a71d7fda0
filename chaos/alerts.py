"""Plays Prometheus: reads the product every second, and sends its alerts to every Alertmanager.

Chaos tests what happens after an alert, so it does without the minute that rules and scrapes take.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chaos.configuration import IDLE_SECONDS, POSTGRES_TARGET, QUEUE_TARGET, RETRY, SHOP, TERMINATE
from chaos.lost_connections import NO_ANSWER, NO_DATABASE
from demo.product.jobs import QUEUE

FAILED_JOBS = 3
_EVERY_SECONDS = 1.0
_ENDS_AFTER = timedelta(seconds=15)
_IDLE = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
    " AND state_change < clock_timestamp() - make_interval(secs => $1)"
)


@dataclass
class Alerts:
    """The two alerts of the product."""

    dsn: str
    redis: Redis
    alertmanagers: Sequence[str]
    http: aiohttp.ClientSession
    firing: dict[str, datetime] = field(default_factory=dict)

    async def watch(self) -> None:
        """Measure and send until cancelled; a server that is out is measured again a second later."""
        while True:
            with suppress(*NO_DATABASE):
                await self._judge(TERMINATE, await self._idle_sessions() > 0)
            with suppress(RedisError):
                await self._judge(RETRY, await self.failed_jobs() >= FAILED_JOBS)
            await asyncio.sleep(_EVERY_SECONDS)

    async def failed_jobs(self) -> int:
        """Return the number of failed jobs."""
        return int(await self.redis.zcard(f"bull:{QUEUE}:failed"))

    async def _idle_sessions(self) -> int:
        connection = await asyncpg.connect(self.dsn, timeout=2)
        try:
            return int(await connection.fetchval(_IDLE, float(IDLE_SECONDS)))
        finally:
            connection.terminate()

    async def _judge(self, remediation: str, fires: bool) -> None:
        now = datetime.now(UTC)
        if fires:
            started = self.firing.setdefault(remediation, now)
            await self._send(_alert(remediation, started, now + _ENDS_AFTER))
        elif (begun := self.firing.pop(remediation, None)) is not None:
            await self._send(_alert(remediation, begun, now))

    async def _send(self, alert: Mapping[str, Any]) -> None:
        await asyncio.gather(*(self._post(url, alert) for url in self.alertmanagers))

    async def _post(self, url: str, alert: Mapping[str, Any]) -> None:
        timeout = aiohttp.ClientTimeout(total=2)
        with suppress(*NO_ANSWER):
            async with self.http.post(f"{url}/api/v2/alerts", json=[alert], timeout=timeout) as answer:
                await answer.read()


def _alert(remediation: str, started: datetime, ends: datetime) -> Mapping[str, Any]:
    where = {"target": POSTGRES_TARGET} if remediation == TERMINATE else {"target": QUEUE_TARGET, "queue": QUEUE}
    labels = {"alertname": f"Chaos_{remediation}", "stack": SHOP, "remediation": remediation, **where}
    return {"labels": labels, "startsAt": started.isoformat(), "endsAt": ends.isoformat()}
