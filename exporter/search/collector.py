"""A search cluster: its health on each scrape; in the background, its indices and aliases."""

from collections.abc import Iterable

from exporter.collector import BackgroundReading, Collector, ScrapeReading
from exporter.metric import Metric
from exporter.search.changes import Changes
from exporter.search.client import HealthClient, IndexClient
from exporter.search.connection import SearchConnection
from exporter.search.metrics import ALIAS, HEALTH, METRICS, UP
from runbookd.addresses.http import read_http_address
from runbookd.inventory import Stack
from runbookd.inventory.secret_check import secret_problems


class SearchCollector(Collector):
    """A cluster of Elasticsearch (7 or newer) or OpenSearch."""

    metrics = METRICS
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        self._target = target = stack.search[name]
        self._changes = Changes()
        self.scrape = ScrapeReading(self._connect)
        cost = "1 request for the statistics of all shards of the indices, 1 for the aliases"
        self.background = BackgroundReading(self._connect_to_indices, target.refresh, cost, counts_for_up=False)

    def most_series(self, metric: Metric) -> int:
        """Return the maximum number of series of a metric."""
        return {HEALTH: 3, ALIAS: len(self._target.aliases)}.get(metric) or super().most_series(metric)

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        """Yield why a secret cannot be read."""
        target = self._target
        yield from secret_problems(target.url_secret(), read_http_address)
        if target.basic_auth is not None:
            yield from secret_problems(target.basic_auth.password_secret())
        if target.api_key_file is not None:
            yield from secret_problems(target.api_key_secret())

    async def _connect(self, budget: float) -> HealthClient:  # noqa: ARG002 - the scraper's deadline holds
        return HealthClient(await SearchConnection.connect(self._target))

    async def _connect_to_indices(self, budget: float) -> IndexClient:  # noqa: ARG002 - the lane's limit holds
        target = self._target
        connection = await SearchConnection.connect(target)
        return IndexClient(connection, target.indices, target.aliases, self._changes)
