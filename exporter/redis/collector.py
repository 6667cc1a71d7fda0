"""Redis: what INFO says, slow commands, latency; in the background, keys by prefix."""

from collections.abc import Iterable, Iterator
from typing import Any

from redis.exceptions import ResponseError

from exporter.clock import monotonic
from exporter.collector import BackgroundReading, Client, Collector, Reading, secret_problem
from exporter.metric import Metric, Sample
from exporter.redis.connection import RawConnection, pack_commands, raise_target_error
from exporter.redis.info import RedisInfo, parse_info, samples_of
from exporter.redis.metrics import HITS_MIXED, INSTANCE, LINK_UP, METRICS, PREFIX_METRICS, SLOWLOG, SPIKE, SPIKE_AT, UP
from exporter.redis.prefixes import most_prefix_series, sample_keys
from exporter.redis.scan import MOST_STEPS, STEP_KEYS
from runbookd.inventory import RedisTarget, Stack

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
        samples = (*samples_of(fields, self._connection.database), HITS_MIXED(self._hits_include_queues(fields)))
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
        samples, round_trips = await sample_keys(self._connection, self._target.prefixes, self._until)
        return Reading(tuple(samples), round_trips)

    async def close(self) -> None:
        await self._connection.close()


class RedisCollector(Collector):
    """A Redis server (or Valkey), 6.2 or newer."""

    metrics = METRICS
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
        if metric in PREFIX_METRICS:
            return most_prefix_series(metric, self._target.prefixes)
        return 1 if metric in (INSTANCE, LINK_UP) else super().most_series(metric)

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
