"""HTTP endpoints, probed with GET, under blackbox_exporter's names."""

from collections.abc import Iterable

from exporter.collector import Collector, ScrapeReading
from exporter.errors import TargetMisconfigured
from exporter.http.client import HttpClient
from exporter.http.metrics import METRICS, SUCCESS
from runbookd.addresses import AddressError
from runbookd.addresses.http import read_http_address
from runbookd.inventory import SecretError, Stack
from runbookd.inventory.secret_check import secret_problems


class HttpCollector(Collector):
    """An HTTP endpoint."""

    metrics = METRICS
    up = SUCCESS

    def __init__(self, stack: Stack, name: str) -> None:
        self._target = stack.http[name]
        self.scrape = ScrapeReading(self._connect)

    async def _connect(self, budget: float) -> HttpClient:  # noqa: ARG002 - the scraper's deadline holds
        try:
            address = read_http_address(self._target.url_secret().read())
        except SecretError as error:
            raise TargetMisconfigured(str(error)) from None
        except AddressError as error:
            raise TargetMisconfigured(f"url: {error}") from None
        return HttpClient(address, self._target.status)

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        """Return why the URL cannot be read, if so."""
        return secret_problems(self._target.url_secret(), read_http_address)
