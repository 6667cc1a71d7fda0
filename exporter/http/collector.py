"""HTTP endpoints, under blackbox_exporter's names."""

from collections.abc import Iterable

from exporter.collector import Collector, ScrapeReading
from exporter.errors import TargetMisconfigured
from exporter.http.client import HttpClient
from exporter.http.metrics import METRICS, PHASE, SUCCESS
from exporter.http.phases import PHASES
from exporter.http.tls import context_for
from exporter.metric import Metric
from runbookd.addresses import AddressError
from runbookd.addresses.http import read_http_address
from runbookd.endpoints.request import request_of
from runbookd.inventory import HttpTarget, SecretError, Stack
from runbookd.inventory.requests import read_headers
from runbookd.inventory.secret_check import secret_problems
from runbookd.service import VERSION


class HttpCollector(Collector):
    """An HTTP endpoint."""

    metrics = METRICS
    up = SUCCESS

    def __init__(self, stack: Stack, name: str) -> None:
        self._target = stack.http[name]
        self.scrape = ScrapeReading(self._connect)

    async def _connect(self, budget: float) -> HttpClient:  # noqa: ARG002 - the scraper's deadline holds
        try:
            return HttpClient(request_of(self._target, f"runbook-exporter/{VERSION}"), context_for(self._target))
        except SecretError as error:
            raise TargetMisconfigured(str(error)) from None
        except AddressError as error:
            raise TargetMisconfigured(f"url: {error}") from None

    def most_series(self, metric: Metric) -> int:
        """Return the maximum number of series of a metric: one for each phase, and one version of each kind."""
        return len(PHASES) if metric is PHASE else 1

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        """Yield why a secret cannot be read."""
        return endpoint_secret_problems(self._target)


def endpoint_secret_problems(target: HttpTarget) -> Iterable[tuple[str, str]]:
    """Yield why a secret of a request cannot be read."""
    yield from secret_problems(target.url_secret(), read_http_address)
    if target.basic_auth is not None:
        yield from secret_problems(target.basic_auth.password_secret())
    if target.bearer_token_file is not None:
        yield from secret_problems(target.bearer_secret())
    try:
        read_headers({}, target.headers_file)
    except SecretError as error:
        yield "headers_file", str(error).removeprefix("headers_file: ")
