"""The remediator's own metrics, read from the ledger at each scrape, so that they always equal the record."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import Counter as ProcessCounter
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.kill_switch import pause_reason
from remediator.context import Context
from remediator.intake.ingest import CUT_ALERTS
from remediator.ledger import deliveries, deploys, episodes, outbox, run_counts, switches
from remediator.ledger.schema import run
from remediator.model.cuts import CUTS
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import RunState
from remediator.server.acknowledge_metrics import acknowledge_families
from remediator.server.calendar_metrics import duty_families, window_families
from remediator.server.recurrence_metrics import recurrence_families
from remediator.server.run_metrics import label_values, run_families
from remediator.server.undo_metrics import undo_families
from runbookd.service import VERSION


class MetricsSnapshot(Collector):
    """Families that are already collected, plus those of this process."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = [*families, *_PROCESS.collect()]

    def collect(self) -> Iterator[Metric]:
        """Return all families."""
        return iter(self._families)


def _process_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


_PROCESS = _process_registry()
_PROCESS.register(CUT_ALERTS)
DELIVERIES = ProcessCounter(
    "remediation_deliveries",
    "Deliveries since the remediator started, by its answer: accepted, malformed, unauthorized, unavailable.",
    ["answer"],
    registry=_PROCESS,
)
for _answer in ("accepted", "malformed", "unauthorized", "unavailable"):
    DELIVERIES.labels(_answer)  # an alert on an increase needs the zero before it


ACTIVE = (RunState.AWAITING_APPROVAL, RunState.ADMITTED, RunState.EXECUTING, RunState.VERIFYING)
"""The states of a run between its plan and its end in which it holds its target or waits for a person."""


async def collect(
    context: Context,
    fault: str | None = None,
    ledger_fault: str | None = None,
    own_families: Sequence[Metric] = (),
    *,
    leads: bool = True,
) -> MetricsSnapshot:
    """Collect the metrics page; without the ledger, only ledger, engine, `own_families` and process.

    The leader alone exports what every replica would read alike in the ledger.
    """
    context = context.snapshot()
    families: list[Metric] = []
    try:
        async with context.ledger.read() as connection:
            ledger_is_up = ledger_fault is None
            families = await _ledger_families(connection, context) if leads else await _check_readable(connection)
    except LedgerUnavailable:
        ledger_is_up = False
    own = [*_replica_families(leads, fault is None, ledger_is_up), *own_families]
    return MetricsSnapshot([*own, *families])


def _replica_families(leads: bool, engine_is_up: bool, ledger_is_up: bool) -> list[Metric]:
    return [
        InfoMetricFamily("runbook_remediator_build", "Version of this remediator.", {"version": VERSION}),
        _gauge(
            "remediation_leader", "Whether this replica leads: it alone acts, notifies and reads the ledger.", leads
        ),
        _gauge(
            "runbook_remediator_tasks",
            "Asynchronous tasks of this process, including that of this scrape.",
            len(asyncio.all_tasks()),
        ),
        _gauge("remediation_engine_up", "Whether the engine completed its last round.", engine_is_up),
        _gauge("remediation_ledger_up", "Whether the ledger can be read and stores deliveries.", ledger_is_up),
        _cut_values(),
    ]


async def _check_readable(connection: AsyncConnection) -> list[Metric]:
    await connection.execute(select(1))
    return []


async def _ledger_families(connection: AsyncConnection, context: Context) -> list[Metric]:
    counts = await run_counts.all_counts(connection)
    return [
        *run_families(context, counts),
        *await undo_families(connection, context, counts),
        await _open_episodes(connection, context),
        await _breakers(connection),
        await _paused_stacks(connection, context),
        await _approvals(connection),
        await _active_runs(connection, context),
        _gauge(
            "remediation_escalations_unsent",
            "Notifications that no contact has accepted yet.",
            await outbox.count_unsent(connection),
        ),
        await _unsent_by_contact(connection, context),
        await _deploys(connection, context),
        *await acknowledge_families(connection, context),
        *await duty_families(connection, context),
        *await recurrence_families(connection, context),
        *window_families(context),
        _gauge(
            "remediation_deliveries_waiting",
            "Accepted deliveries that have not been processed yet.",
            await deliveries.count_unprocessed(connection),
        ),
    ]


async def _deploys(connection: AsyncConnection, context: Context) -> Metric:
    family = GaugeMetricFamily(
        "stack_last_deploy_timestamp_seconds",
        "When the newest deploy of the stack began, in seconds since 1970.",
        labels=["stack", "version"],
    )
    for stack, newest in (await deploys.newest_by_stack(connection)).items():
        if stack in context.inventory.stacks:
            family.add_metric([stack, newest.version], newest.begun_at.timestamp())
    return family


async def _unsent_by_contact(connection: AsyncConnection, context: Context) -> Metric:
    family = GaugeMetricFamily(
        "remediation_contact_unsent", "Messages that this contact has not accepted yet.", labels=["contact"]
    )
    unsent = await outbox.count_unsent_by_contact(connection)
    for contact in {**dict.fromkeys(context.inventory.contacts, 0), **unsent}:
        family.add_metric([contact], unsent.get(contact, 0))
    return family


def _cut_values() -> Metric:
    family = CounterMetricFamily(
        "remediation_cut_values",
        "Values since the start that were too long to be recorded as a whole, by part of the record.",
        labels=["part"],
    )
    for part, number in CUTS.items():
        family.add_metric([part], number)
    return family


async def _open_episodes(connection: AsyncConnection, context: Context) -> Metric:
    family = GaugeMetricFamily(
        "remediation_open_episodes", "Episodes that have not ended.", labels=["stack", "remediation"]
    )
    counts: Counter[tuple[str, str]] = Counter()
    for stack, remediation, number in await episodes.count_open(connection):
        counts[label_values(context, stack, remediation)] += number
    for labels, number in counts.items():
        family.add_metric(labels, number)
    return family


async def _breakers(connection: AsyncConnection) -> Metric:
    family = GaugeMetricFamily(
        "remediation_breaker_open",
        "Open breakers, which an operator must close.",
        labels=["stack", "remediation", "target"],
    )
    for each in await switches.open_breakers(connection):
        family.add_metric([each.stack, each.remediation, each.target], 1)
    return family


async def _paused_stacks(connection: AsyncConnection, context: Context) -> Metric:
    family = GaugeMetricFamily("remediation_paused", "Whether remediation is paused.", labels=["stack"])
    for stack in context.inventory.stacks:
        family.add_metric([stack], await pause_reason(connection, context, stack) is not None)
    return family


async def _approvals(connection: AsyncConnection) -> Metric:
    rows = await connection.execute(
        select(func.count()).select_from(run).where(run.c.state == RunState.AWAITING_APPROVAL)
    )
    return _gauge("remediation_approvals_waiting", "Runs that await an operator's approval.", rows.scalar_one())


async def _active_runs(connection: AsyncConnection, context: Context) -> Metric:
    """Return the runs under way, which the boards draw as regions from their admission to their end."""
    family = GaugeMetricFamily(
        "remediation_run_active",
        "1 for each run that acts, proves its result, or awaits approval.",
        labels=["stack", "remediation", "target", "state"],
    )
    query = select(run.c.stack, run.c.remediation, run.c.target, run.c.state).where(run.c.state.in_(ACTIVE)).distinct()
    for row in await connection.execute(query):
        if row.stack in context.inventory.stacks and row.remediation in context.remediations:
            family.add_metric([row.stack, row.remediation, row.target, str(row.state)], 1)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
