"""The remediator's own metrics, read from the ledger at each scrape, so that they always equal the record."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from daemon import VERSION
from remediator.errors import LedgerUnavailable
from remediator.ledger import control, episodes, outbox
from remediator.ledger.schema import run
from remediator.states import ENDED, RunState
from remediator.world import World

UNKNOWN_NAME = "(unknown)"  # alerts can claim any name; only those of the inventory become label values


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


async def collect(world: World) -> Snapshot:
    """Everything on the metrics page. Where the ledger is out, only `remediation_ledger_up 0` and the process."""
    build = InfoMetricFamily("runbook_remediator_build", "Version of this remediator.", {"version": VERSION})
    up = GaugeMetricFamily("remediation_ledger_up", "Whether the ledger can be read.")
    try:
        async with world.ledger.read() as connection:
            families = await _from_ledger(connection, world)
    except LedgerUnavailable:
        up.add_metric([], 0)
        return Snapshot([build, up])
    up.add_metric([], 1)
    return Snapshot([build, up, *families])


async def _from_ledger(connection: AsyncConnection, world: World) -> list[Metric]:
    now = world.clock.now()
    return [
        await _runs(connection, world),
        await _refusals(connection, world),
        await _last_runs(connection, world),
        await _open_episodes(connection, world),
        await _breakers(connection),
        await _paused(connection, world, now),
        await _approvals(connection),
        _gauge(
            "remediation_escalations_unsent",
            "Messages that no contact has taken yet.",
            await outbox.waiting(connection),
        ),
    ]


async def _runs(connection: AsyncConnection, world: World) -> Metric:
    family = CounterMetricFamily(
        "remediation_runs", "Runs that have ended, by outcome.", labels=["stack", "remediation", "outcome"]
    )
    rows = await connection.execute(
        select(run.c.stack, run.c.remediation, run.c.state, func.count())
        .where(run.c.state.in_(ENDED))
        .group_by(run.c.stack, run.c.remediation, run.c.state)
    )
    return _summed(family, ((*_known(world, row[0], row[1]), row[2], row[3]) for row in rows))


async def _refusals(connection: AsyncConnection, world: World) -> Metric:
    family = CounterMetricFamily(
        "remediation_refusals", "Runs that a bound has refused.", labels=["stack", "remediation", "bound"]
    )
    rows = await connection.execute(
        select(run.c.stack, run.c.remediation, run.c.reason, func.count())
        .where(run.c.state == RunState.REFUSED)
        .group_by(run.c.stack, run.c.remediation, run.c.reason)
    )
    return _summed(family, ((*_known(world, row[0], row[1]), row[2], row[3]) for row in rows))


async def _last_runs(connection: AsyncConnection, world: World) -> Metric:
    family = GaugeMetricFamily(
        "remediation_last_run_timestamp_seconds",
        "When the last run with this outcome ended.",
        labels=["stack", "remediation", "target", "outcome"],
    )
    rows = await connection.execute(
        select(run.c.stack, run.c.remediation, run.c.target, run.c.state, func.max(run.c.finished_at))
        .where(run.c.state.in_(ENDED), run.c.reason != "unknown_target")
        .group_by(run.c.stack, run.c.remediation, run.c.target, run.c.state)
    )
    for stack, remediation, target, state, finished in rows:
        if stack in world.inventory.stacks:
            family.add_metric([stack, remediation, target, state], _seconds(finished))
    return family


async def _open_episodes(connection: AsyncConnection, world: World) -> Metric:
    family = GaugeMetricFamily(
        "remediation_open_episodes", "Episodes that have not ended.", labels=["stack", "remediation"]
    )
    counts: dict[tuple[str, str], int] = {}
    for episode in await episodes.all_open(connection):
        known = _known(world, episode.stack, episode.remediation)
        counts[known] = counts.get(known, 0) + 1
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


async def _breakers(connection: AsyncConnection) -> Metric:
    family = GaugeMetricFamily(
        "remediation_breaker_open", "Breakers that a person has to close.", labels=["stack", "remediation", "target"]
    )
    for each in await control.open_breakers(connection):
        family.add_metric([each["stack"], each["remediation"], each["target"]], 1)
    return family


async def _paused(connection: AsyncConnection, world: World, now: datetime) -> Metric:
    family = GaugeMetricFamily("remediation_paused", "Whether a person has paused remediation.", labels=["stack"])
    for stack in world.inventory.stacks:
        family.add_metric([stack], await control.paused(connection, now, stack) is not None)
    return family


async def _approvals(connection: AsyncConnection) -> Metric:
    rows = await connection.execute(
        select(func.count()).select_from(run).where(run.c.state == RunState.AWAITING_APPROVAL)
    )
    return _gauge("remediation_approvals_waiting", "Runs that wait for a person's yes.", rows.scalar_one())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _summed(family: CounterMetricFamily, rows: Iterable[tuple[str, str, str, int]]) -> Metric:
    """Add up rows whose names have become the same."""
    counts: dict[tuple[str, str, str], int] = {}
    for *labels, count in rows:
        key = (str(labels[0]), str(labels[1]), str(labels[2]))
        counts[key] = counts.get(key, 0) + int(count)
    for key, total in counts.items():
        family.add_metric(key, total)
    return family


def _known(world: World, stack: str, remediation: str) -> tuple[str, str]:
    return (
        stack if stack in world.inventory.stacks else UNKNOWN_NAME,
        remediation if remediation in world.remediations else UNKNOWN_NAME,
    )


def _seconds(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()
