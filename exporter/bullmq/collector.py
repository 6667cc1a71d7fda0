"""BullMQ queues: jobs by state, ages, failures, workers and dead letters.

Unless the inventory lists them, the queues are discovered in the background.
"""

from exporter.bullmq.client import CLUSTER, DiscoveryClient, QueuesClient
from exporter.bullmq.dead_letters import DeadLetters
from exporter.bullmq.metrics import METRICS, UP
from exporter.bullmq.state import QueueState
from exporter.clock import monotonic
from exporter.collector import BackgroundReading, Collector, ScrapeReading
from exporter.errors import TargetRefused
from exporter.metric import Metric
from exporter.redis.connection import RawConnection
from exporter.redis.scan import STEP_KEYS
from exporter.series import MAX_SERIES
from runbookd.inventory import Stack

# Share of a background reading's time; the rest is for the reply under way.
_SCAN_SHARE = 0.8


class QueuesCollector(Collector):
    """All queues of the target's prefixes in one Redis database.

    `state` outlives the connections.
    """

    metrics = METRICS
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        target = stack.queues[name]
        self._url = stack.redis[target.redis].url_secret()
        self._dead_letters = DeadLetters(target.dead_letter)
        self.state = QueueState(target)
        self.scrape = ScrapeReading(self._connect, round_trips=2)
        if target.names == "discover":
            cost = f"1 SCAN for {STEP_KEYS:,} keys of the server"
            self.background = BackgroundReading(self._connect_to_discover, target.refresh, cost)

    def most_series(self, metric: Metric) -> int:
        """Return one series per queue and part, if the inventory lists the queues."""
        if self.background is not None or not metric.labels:
            return super().most_series(metric)
        return min(len(self.state.names or ()), MAX_SERIES) * metric.parts

    async def _connect(self, budget: float) -> QueuesClient:  # noqa: ARG002 - Redis has no limit of its own to set
        return QueuesClient(await self._open(), self.state, self._dead_letters)

    async def _connect_to_discover(self, budget: float) -> DiscoveryClient:
        until = monotonic() + budget * _SCAN_SHARE
        return DiscoveryClient(await self._open(), self.state, until)

    async def _open(self) -> RawConnection:
        connection = await RawConnection.connect(self._url)
        if connection.mode == "cluster":
            await connection.close()
            raise TargetRefused(CLUSTER)
        return connection
