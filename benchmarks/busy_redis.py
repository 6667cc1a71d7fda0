"""Data of a Redis in use: 50 queues, and 200,000 keys of an application."""

import redis

from benchmarks.queues import fill
from demo.servers.redis import RedisServer

QUEUES, KEYS = 50, 200_000
NAMES = tuple(f"queue{number}" for number in range(QUEUES))
CHANGED_QUEUE = "queue7"
PARTS = ("meta", "wait", "active", "prioritized", "delayed", "failed", "completed")
"""The keys of a queue that redis_exporter gets by name. It shows no sizes after the first key that is missing."""


def fill_redis(server: RedisServer) -> None:
    """Fill the server with the queues and then with other keys, up to `KEYS` in all."""
    fill(server, QUEUES)
    with redis.Redis(port=server.port) as client:
        missing = KEYS - int(client.dbsize())
        for first in range(0, missing, 10_000):
            client.mset({f"session:{number}": "x" * 64 for number in range(first, min(first + 10_000, missing))})
