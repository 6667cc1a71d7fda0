"""An address whose JSON holds numbers, which is requested in the background."""

import asyncio
import ssl
from collections.abc import Iterable

from exporter.collector import BackgroundReading, Collector
from exporter.errors import TargetMisconfigured
from exporter.http.collector import endpoint_secret_problems
from exporter.metric import Metric
from exporter.numbers.client import NumbersClient
from exporter.numbers.metrics import METRICS, UP
from runbookd.addresses import AddressError
from runbookd.endpoints.request import request_of, trust
from runbookd.inventory import SecretError, Stack
from runbookd.service import VERSION


class NumbersCollector(Collector):
    """Numbers of one service."""

    metrics = METRICS
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        self._target = target = stack.numbers[name]
        self.background = BackgroundReading(self._connect, target.refresh, "1 request")

    def most_series(self, metric: Metric) -> int:
        """Return the maximum number of series of a metric."""
        return len(self._target.values) if metric.labels else 1

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        """Yield why a secret cannot be read."""
        return endpoint_secret_problems(self._target)

    async def _connect(self, budget: float) -> NumbersClient:  # noqa: ARG002 - the lane's limit holds
        target = self._target
        try:
            request = request_of(target, f"runbook-exporter/{VERSION}")
            tls = await asyncio.to_thread(trust, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), target.tls)
        except SecretError as error:
            raise TargetMisconfigured(str(error)) from None
        except AddressError as error:
            raise TargetMisconfigured(f"url: {error}") from None
        return NumbersClient(target, request, tls)
