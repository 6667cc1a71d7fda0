"""The remediator's own metrics, read from the ledger at each scrape, so that they always equal the record."""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import Counter as ProcessCounter
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.kill_switch import pause_reason
from remediator.context import World
from remediator.ledger import deliveries, episodes, outbox, run_counts, switches
from remediator.ledger.schema import run
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import RunState
from remediator.server.run_metrics import known, tallied
from runbookd.service import VERSION


class Snapshot(Collector):
    """Families that have been collected already, beside those of this process."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = [*families, *_PROCESS.collect()]

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def _process_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


_PROCESS = _process_registry()
DELIVERIES = ProcessCounter(
    "remediation_deliveries",
    "Deliveries since the start, by answer: accepted, malformed, unauthorized, unavailable.",
    ["answer"],
    registry=_PROCESS,
)
for _answer in ("accepted", "malformed", "unauthorized", "unavailable"):
    DELIVERIES.labels(_answer)  # an alert on an increase needs the zero before it


async def collect(world: World, trouble: str | None = None, ledger_out: str | None = None) -> Snapshot:
    """Everything on the metrics page. Where the ledger is out, only that, the engine's trouble and the process."""
    build = InfoMetricFamily("runbook_remediator_build", "Version of this remediator.", {"version": VERSION})
    engine = _gauge("remediation_engine_up", "Whether the engine could do its last round.", trouble is None)
    up = GaugeMetricFamily("remediation_ledger_up", "Whether the ledger can be read and takes deliveries.")
    try:
        async with world.ledger.read() as connection:
            families = await _from_ledger(connection, world)
    except LedgerUnavailable:
        up.add_metric([], 0)
        return Snapshot([build, engine, up])
    up.add_metric([], ledger_out is None)
    return Snapshot([build, engine, up, *families])


async def _from_ledger(connection: AsyncConnection, world: World) -> list[Metric]:
    return [
        *tallied(world, await run_counts.everything(connection)),
        await _open_episodes(connection, world),
        await _breakers(connection),
        await _paused(connection, world),
        await _approvals(connection),
        _gauge(
            "remediation_escalations_unsent",
            "Messages that no contact has taken yet.",
            await outbox.waiting(connection),
        ),
        _gauge(
            "remediation_deliveries_waiting",
            "Deliveries that were accepted, and that nothing has been made of yet.",
            await deliveries.waiting(connection),
        ),
    ]


async def _open_episodes(connection: AsyncConnection, world: World) -> Metric:
    family = GaugeMetricFamily(
        "remediation_open_episodes", "Episodes that have not ended.", labels=["stack", "remediation"]
    )
    counts: Counter[tuple[str, str]] = Counter()
    for stack, remediation, number in await episodes.count_open(connection):
        counts[known(world, stack, remediation)] += number
    for labels, number in counts.items():
        family.add_metric(labels, number)
    return family


async def _breakers(connection: AsyncConnection) -> Metric:
    family = GaugeMetricFamily(
        "remediation_breaker_open", "Breakers that a person has to close.", labels=["stack", "remediation", "target"]
    )
    for each in await switches.open_breakers(connection):
        family.add_metric([each["stack"], each["remediation"], each["target"]], 1)
    return family


async def _paused(connection: AsyncConnection, world: World) -> Metric:
    family = GaugeMetricFamily("remediation_paused", "Whether a person has paused remediation.", labels=["stack"])
    for stack in world.inventory.stacks:
        family.add_metric([stack], await pause_reason(connection, world, stack) is not None)
    return family


async def _approvals(connection: AsyncConnection) -> Metric:
    rows = await connection.execute(
        select(func.count()).select_from(run).where(run.c.state == RunState.AWAITING_APPROVAL)
    )
    return _gauge("remediation_approvals_waiting", "Runs that wait for a person's yes.", rows.scalar_one())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
