"""Records what a scrape of the exporter reads, for `benchmarks.floor`."""

import asyncio
import base64
import gzip
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporter.bullmq.client import QueuesClient
from exporter.bullmq.collector import QueuesCollector
from exporter.postgres.client import PostgresClient
from exporter.postgres.collector import PostgresCollector
from exporter.redis.client import RedisClient
from exporter.redis.collector import RedisCollector
from exporter.redis.connection import RawConnection
from runbookd.inventory import Stack

BUDGET_SECONDS, WARM_UP = 9.5, 5


def record(stack: dict[str, Any], page: bytes, file: Path) -> None:
    """Write the recording of one usual scrape of `stack`, and the page to send."""
    contents = asyncio.run(_record(Stack.model_validate(stack)))
    addresses = {"dsn": stack["postgres"]["main"]["dsn"], "redis": stack["redis"]["cache"]["url"]}
    file.write_text(json.dumps({**contents, **addresses, "page": _text(gzip.compress(page, 1))}))


async def _record(stack: Stack) -> dict[str, Any]:
    postgres = await PostgresCollector(stack, "main")._connect(BUDGET_SECONDS)
    redis = await RedisCollector(stack, "cache")._connect(BUDGET_SECONDS)
    queues = await QueuesCollector(stack, "jobs")._connect(BUDGET_SECONDS)
    for _ in range(WARM_UP):
        await postgres.read(0.0)
    recording = {"sql": _sql(postgres), "requests": [await _requests(redis), await _requests(queues)]}
    for client in (postgres, redis, queues):
        await client.close()
    return recording


def _sql(client: PostgresClient) -> str:
    return client._statement.text


async def _requests(client: RedisClient | QueuesClient) -> Sequence[tuple[str, int]]:
    """Return the requests of one reading, and the number of replies to each."""
    for _ in range(WARM_UP):
        await client.read(time.time())
    recorder = _Recorder(client._connection)
    client._connection = recorder  # type: ignore[assignment]  # it stands in front of the real one
    await client.read(time.time())
    return recorder.requests


class _Recorder:
    """A connection that keeps what it sends."""

    def __init__(self, connection: RawConnection) -> None:
        self._connection = connection
        self.requests: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, request: bytes, count: int) -> list[Any]:
        """Send a request, and keep it."""
        self.requests.append((_text(request), count))
        return await self._connection.execute(request, count)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
