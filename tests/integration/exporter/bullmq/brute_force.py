"""An independent reading of a queue: slow and exact, from all of its keys."""

import json
from dataclasses import dataclass
from typing import Any

import redis

KINDS = {
    b"list": lambda client, key: client.lrange(key, 0, -1),
    b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    b"hash": lambda client, key: client.hgetall(key),
    b"string": lambda client, key: client.get(key),
    b"set": lambda client, key: client.smembers(key),
    b"stream": lambda client, key: client.xlen(key),
}


@dataclass(frozen=True)
class QueueKeys:
    """All keys of a queue, by the part after its name."""

    values: dict[str, Any]

    def at(self, name: str) -> Any:
        return self.values.get(name, ())

    def ids(self, name: str) -> list[str]:
        """Return the jobs in a list, the next one last, or in a sorted set."""
        entries = self.at(name)
        names = [entry[0] if isinstance(entry, tuple) else entry for entry in entries]
        return [name.decode() for name in names if not name.startswith(b"0:")]

    def markers(self, name: str) -> int:
        return len(self.at(name)) - len(self.ids(name))

    def scores(self, name: str) -> list[float]:
        return [score for _, score in self.at(name)]

    def job(self, job: str) -> dict[str, str]:
        return {field.decode(): value.decode() for field, value in self.values.get(job, {}).items()}

    def waiting(self) -> list[str]:
        return [*self.ids("wait"), *self.ids("paused"), *self.ids("prioritized")]


def read_all(client: redis.Redis, base: str) -> QueueKeys:
    """Read each key below `base` completely."""
    values = {}
    for key in client.scan_iter(match=f"{base}:*", count=10_000):
        values[key.decode().removeprefix(f"{base}:")] = KINDS[client.type(key)](client, key)
    return QueueKeys(values)


def ready_since(job: dict[str, str]) -> float | None:
    """Return since when (milliseconds) a job could be processed, from its hash; None if the hash does not show it."""
    options = json.loads(job.get("opts", "{}"))
    tries = int(job.get("atm") or job.get("attemptsMade") or 0)
    points = [int(job["timestamp"]) + (options.get("delay") or 0)]
    if "processedOn" in job:
        backoff = options.get("backoff") or {}
        backoff_delay = {"fixed": 1, "exponential": 2 ** (tries - 1)}.get(backoff.get("type"), 0) * backoff.get(
            "delay", 0
        )
        points.append(int(job["processedOn"]) + (backoff_delay if tries else 0))
    elif tries:
        return None
    return max(points)
