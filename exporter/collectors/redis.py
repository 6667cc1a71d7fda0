"""Redis: memory, clients, hits, evictions and persistence from one INFO, under redis_exporter's names."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from exporter.collectors.base import Client, Collector, Reading, unreadable
from exporter.metric import Metric, Sample, counter, gauge
from exporter.redis_pool import redis_client, worded
from inventory import Stack

Info = Mapping[str, Any]

UP = gauge("redis_up", "Whether the Redis server answers (1).")
DB_KEYS = gauge("redis_db_keys", "Keys in the database.", "db")
INSTANCE = gauge(
    "redis_instance_info", "Always 1; the labels describe the server.", "role", "redis_version", "maxmemory_policy"
)
# Each metric that is one number of INFO, with the field it is in.
FIELDS: dict[str, Metric] = {
    "uptime_in_seconds": gauge("redis_uptime_in_seconds", "Seconds since the server started."),
    "connected_clients": gauge("redis_connected_clients", "Client connections, without those of replicas."),
    "blocked_clients": gauge("redis_blocked_clients", "Clients that wait in a blocking command."),
    "used_memory": gauge("redis_memory_used_bytes", "Bytes that the server has allocated."),
    "maxmemory": gauge("redis_memory_max_bytes", "Bytes that the server may allocate for data; 0 is no limit."),
    "keyspace_hits": counter("redis_keyspace_hits_total", "Look-ups that found their key."),
    "keyspace_misses": counter("redis_keyspace_misses_total", "Look-ups that did not find their key."),
    "evicted_keys": counter("redis_evicted_keys_total", "Keys removed because memory was full."),
    "expired_keys": counter("redis_expired_keys_total", "Keys removed because their time was over."),
    "rejected_connections": counter("redis_rejected_connections_total", "Connections refused because of maxclients."),
    "rdb_last_save_time": gauge(
        "redis_rdb_last_save_timestamp_seconds", "When the last snapshot was saved, in seconds since 1970."
    ),
    "aof_enabled": gauge("redis_aof_enabled", "Whether the append-only file is on (1)."),
}
# Each metric that is a word of INFO, true where it is this one.
WORDS: dict[tuple[str, str], Metric] = {
    ("rdb_last_bgsave_status", "ok"): gauge(
        "redis_rdb_last_bgsave_status", "Whether the last background snapshot succeeded (1)."
    ),
    ("maxmemory_policy", "noeviction"): gauge(
        "redis_maxmemory_policy_noeviction", "Whether keys are never evicted (1); job queues need that."
    ),
}


def samples_of(info: Info, database: int) -> Iterator[Sample]:
    """Return the samples that an INFO gives; a field that this server does not have gives none."""
    yield from (metric(float(info[field])) for field, metric in FIELDS.items() if field in info)
    yield from (metric(info[field] == word) for (field, word), metric in WORDS.items() if field in info)
    yield INSTANCE(1, *(str(info.get(label, "")) for label in INSTANCE.labels))
    # INFO lists only databases with keys in them; the one that we are told about is there even when it is empty.
    counts = {f"db{database}": 0} | {name: value["keys"] for name, value in info.items() if _is_database(name)}
    yield from (DB_KEYS(count, name) for name, count in counts.items())


def _is_database(field: str) -> bool:
    return field.startswith("db") and field[2:].isdigit()


class RedisClient(Client):
    """One connection; a reading is one INFO."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - INFO holds no ages
        try:
            info = await self._redis.info()
        except (RedisError, OSError) as error:
            raise worded(error) from None
        database = self._redis.connection_pool.connection_kwargs.get("db", 0)
        return Reading(tuple(samples_of(info, database)), round_trips=1)

    async def close(self) -> None:
        await self._redis.aclose()


class RedisCollector(Collector):
    """A Redis server (or Valkey), 6.2 or newer."""

    metrics = (UP, *FIELDS.values(), *WORDS.values(), INSTANCE, DB_KEYS)
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        self._url = stack.redis[name].url_secret()
        self.fast = self._connect

    async def _connect(self, budget: float) -> RedisClient:  # noqa: ARG002 - Redis has no limit of its own to set
        return RedisClient(redis_client(self._url))

    def most_series(self, metric: Metric) -> int:
        return 1 if metric is INSTANCE else super().most_series(metric)

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        return unreadable(self._url)
