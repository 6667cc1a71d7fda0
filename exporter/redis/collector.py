"""Redis: INFO, slow commands and latency; in the background, keys by prefix."""

from collections.abc import Iterable

from exporter.clock import monotonic
from exporter.collector import BackgroundReading, Collector, ScrapeReading
from exporter.metric import Metric
from exporter.redis.client import PrefixClient, RedisClient
from exporter.redis.connection import RawConnection
from exporter.redis.metrics import INSTANCE, LINK_UP, METRICS, PREFIX_METRICS, UP
from exporter.redis.prefixes import most_prefix_series
from exporter.redis.scan import MOST_STEPS, STEP_KEYS
from runbookd.addresses.redis import read_redis_address
from runbookd.inventory import Stack
from runbookd.inventory.secret_check import secret_problems


class RedisCollector(Collector):
    """A Redis server (or Valkey), 6.2 or newer."""

    metrics = METRICS
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        target = stack.redis[name]
        self._url, self._prefixes = target.url_secret(), target.prefixes
        self._has_queues = any(queues.redis == name for queues in stack.queues.values())
        self.scrape = ScrapeReading(self._connect)
        if target.prefixes:
            cost = f"1 SCAN for {STEP_KEYS:,} keys of the database, at most {MOST_STEPS:,}"
            self.background = BackgroundReading(self._connect_to_sample, target.refresh, cost, counts_for_up=False)

    def most_series(self, metric: Metric) -> int:
        """Return the maximum number of series of a metric."""
        if metric in PREFIX_METRICS:
            return most_prefix_series(metric, self._prefixes)
        return 1 if metric in (INSTANCE, LINK_UP) else super().most_series(metric)

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        """Return why the URL cannot be read, if so."""
        return secret_problems(self._url, read_redis_address)

    async def _connect(self, budget: float) -> RedisClient:  # noqa: ARG002 - Redis has no limit of its own to set
        return RedisClient(await RawConnection.connect(self._url, selects=False), self._has_queues)

    async def _connect_to_sample(self, budget: float) -> PrefixClient:
        until = monotonic() + budget / 2  # the values are read after the scan
        return PrefixClient(await RawConnection.connect(self._url), self._prefixes, until)
