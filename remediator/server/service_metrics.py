"""The metrics of services, read in the background: the exporter opens no socket that can restart anything."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from remediator.clients.services.manager import ServiceState, Status
from remediator.clients.services.reading import CONCURRENT_READS, read_service
from remediator.context import Context
from remediator.shutdown import ShutdownSignal
from runbookd.inventory import Stack

INTERVAL_SECONDS = 15.0
LABELS = ("stack", "target")
Name = tuple[str, str]
log = structlog.get_logger(__name__)


class ServiceReadings:
    """The last reading of each service of the inventory."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._readings: dict[Name, ServiceState | str] = {}  # or why it cannot be read

    async def run(self, shutdown: ShutdownSignal) -> None:
        """Read all services at intervals until the shutdown."""
        while not shutdown.is_set():
            await self.read_all()
            await shutdown.sleep(INTERVAL_SECONDS)

    async def read_all(self) -> None:
        """Read all services of the inventory once; a service that hangs costs only itself."""
        limit = asyncio.Semaphore(CONCURRENT_READS)
        names = list(self._services())
        states = await asyncio.gather(*(read_service(limit, name[0], stack, name[1]) for name, stack in names))
        readings = {name: state for (name, _), state in zip(names, states, strict=True)}
        for name, reading in readings.items():
            if isinstance(reading, str) and self._readings.get(name) != reading:
                log.warning("service cannot be read", service="/services/".join(name), reason=reading)
        self._readings = readings

    def families(self) -> list[Metric]:
        """Return the metrics; a service that cannot be read is not up, and has no other sample."""
        return [_up(self._readings), *_state_families(self._readings), self._info()]

    def _services(self) -> Iterator[tuple[Name, Stack]]:
        for stack_name, stack in self._context.inventory.stacks.items():
            yield from (((stack_name, name), stack) for name in stack.services)

    def _info(self) -> Metric:
        family = InfoMetricFamily("service", "The http target and the queues that belong to a service.", labels=LABELS)
        for name, stack in self._services():
            service = stack.services[name[1]]
            queues = service.workers.queues if service.workers is not None else None
            family.add_metric(name, {"health": service.health or "", "queues": queues or ""})
        return family


def _up(readings: Mapping[Name, ServiceState | str]) -> Metric:
    family = GaugeMetricFamily(
        "service_up", "Whether all instances of the service run, as its manager reports.", labels=LABELS
    )
    for name, reading in readings.items():
        family.add_metric(name, isinstance(reading, ServiceState) and reading.status is Status.RUNNING)
    return family


def _state_families(readings: Mapping[Name, ServiceState | str]) -> Iterable[Metric]:
    states = {name: reading for name, reading in readings.items() if isinstance(reading, ServiceState)}
    restarts = CounterMetricFamily(
        "service_restarts", "Restarts of the service that its manager has counted.", labels=LABELS
    )
    instances = GaugeMetricFamily("service_instances", "Running instances of the service.", labels=LABELS)
    starts = GaugeMetricFamily(
        "service_start_time_seconds", "When the newest instance of the service started.", labels=LABELS
    )
    for name, state in states.items():
        restarts.add_metric(name, state.restarts)
        instances.add_metric(name, state.running)
        if state.started_at is not None:
            starts.add_metric(name, state.started_at.timestamp())
    return restarts, instances, starts
