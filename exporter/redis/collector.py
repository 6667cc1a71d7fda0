"""Redis: what INFO says, slow commands, latency; in the background, keys by prefix."""

from collections.abc import Iterable, Iterator
from typing import Any

from redis.exceptions import ResponseError

from exporter.clock import monotonic
from exporter.collector import BackgroundReading, Client, Collector, Reading, secret_problem
from exporter.metric import Metric, Sample, gauge
from exporter.redis import info, prefixes
from exporter.redis.connection import RawConnection, pack_commands, raise_target_error
from exporter.redis.info import RedisInfo, parse_info
from exporter.redis.prefixes import MOST_STEPS
from exporter.redis.scan import STEP_KEYS
from runbookd.inventory import RedisTarget, Stack

UP = gauge("redis_up", "Whether the Redis server answers (1).", source="INFO")
SLOWLOG = gauge(
    "redis_slowlog_length", "Entries in the log of slow commands; absent where it is refused.", source="SLOWLOG LEN"
)
SPIKE = gauge(
    "redis_latency_spike_duration_seconds",
    "How long the last latency spike of this kind was, in seconds; the server looks for them only if told so.",
    "event_name",
    source="LATENCY LATEST",
)
SPIKE_AT = gauge(
    "redis_latency_spike_last",
    "When the last latency spike of this kind was, in seconds since 1970.",
    "event_name",
    source="LATENCY LATEST",
)
HITS_MIXED = gauge(
    "redis_keyspace_hits_include_queues",
    "Whether job queues live on this server (1): the inventory has some there, or clients have waited for jobs. Then "
    "hits and misses are mostly those of the queues, and nothing that the server counts tells them apart.",
    source="inventory, INFO commandstats",
)
_REQUEST = pack_commands([("INFO", "ALL"), ("SLOWLOG", "LEN"), ("LATENCY", "LATEST")])
# What workers wait in: BullMQ up to 4, BullMQ from 5 on, and other libraries.
_BLOCKING_COMMANDS = ("brpoplpush", "bzpopmin", "blmove", "blpop", "brpop")


class RedisClient(Client):
    """One connection; a reading is one round trip."""

    def __init__(self, connection: RawConnection, has_queues: bool) -> None:
        self._connection, self._has_queues = connection, has_queues

    @property
    def usable(self) -> bool:
        return self._connection.usable

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - INFO holds no ages
        text, slow, spikes = await self._connection.execute(_REQUEST, 3)
        if isinstance(text, ResponseError):
            raise_target_error(text)
        fields = parse_info(text)
        samples = (*info.samples_of(fields, self._connection.database), HITS_MIXED(self._hits_include_queues(fields)))
        return Reading((*samples, *_latency_samples(slow, spikes)), round_trips=1)

    async def close(self) -> None:
        await self._connection.close()

    def _hits_include_queues(self, fields: RedisInfo) -> bool:
        return self._has_queues or any(f"cmdstat_{command}" in fields for command in _BLOCKING_COMMANDS)


class PrefixClient(Client):
    """Counts keys by prefix."""

    def __init__(self, connection: RawConnection, target: RedisTarget, until: float) -> None:
        self._connection, self._target, self._until = connection, target, until

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - keys have no ages
        samples, round_trips = await prefixes.sample_keys(self._connection, self._target.prefixes, self._until)
        return Reading(tuple(samples), round_trips)

    async def close(self) -> None:
        await self._connection.close()


class RedisCollector(Collector):
    """A Redis server (or Valkey), 6.2 or newer."""

    metrics = (UP, *info.METRICS, HITS_MIXED, SLOWLOG, SPIKE, SPIKE_AT, *prefixes.METRICS)
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        self._target = target = stack.redis[name]
        self._url = target.url_secret()
        self._has_queues = any(queues.redis == name for queues in stack.queues.values())
        self.fast = self._connect
        if target.prefixes:
            cost = f"1 SCAN for {STEP_KEYS:,} keys of the database, at most {MOST_STEPS:,}"
            self.slow = BackgroundReading(self._connect_to_sample, target.refresh, cost, counts_for_up=False)

    def most_series(self, metric: Metric) -> int:
        if metric in prefixes.METRICS:
            tops = [settings.top for settings in self._target.prefixes.values()]
            counts = {
                prefixes.KEYS: len(tops),
                prefixes.SAMPLED: bool(tops),
                prefixes.VALUE: sum(tops),
            }
            return int(counts.get(metric, sum(top > 0 for top in tops)))
        return 1 if metric in (info.INSTANCE, info.LINK_UP) else super().most_series(metric)

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        return secret_problem(self._url)

    async def _connect(self, budget: float) -> RedisClient:  # noqa: ARG002 - Redis has no limit of its own to set
        return RedisClient(await RawConnection.connect(self._url), self._has_queues)

    async def _connect_to_sample(self, budget: float) -> PrefixClient:
        until = monotonic() + budget / 2  # the values come after the walk
        return PrefixClient(await RawConnection.connect(self._url), self._target, until)


def _latency_samples(slow: Any, spikes: Any) -> Iterator[Sample]:
    """What the user may not ask for is left out."""
    if not isinstance(slow, ResponseError):
        yield SLOWLOG(slow)
    if not isinstance(spikes, ResponseError):
        for event, at, milliseconds, _ in (spike[:4] for spike in spikes):
            yield SPIKE(milliseconds / 1000, event.decode())
            yield SPIKE_AT(at, event.decode())
