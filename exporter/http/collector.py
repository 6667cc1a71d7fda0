"""HTTP endpoints, probed with GET, under blackbox_exporter's names."""

from exporter.collector import Collector, ScrapeReading
from exporter.http.client import HttpClient
from exporter.http.metrics import METRICS, SUCCESS
from runbookd.inventory import Stack


class HttpCollector(Collector):
    """An HTTP endpoint."""

    metrics = METRICS
    up = SUCCESS

    def __init__(self, stack: Stack, name: str) -> None:
        self._target = stack.http[name]
        self.scrape = ScrapeReading(self._connect)

    async def _connect(self, budget: float) -> HttpClient:  # noqa: ARG002 - the scraper's deadline holds
        return HttpClient(self._target)
