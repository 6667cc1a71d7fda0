"""The metrics of acknowledgements: how long they took, and since when an episode waits for one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.escalation.acknowledge import waiting_since
from remediator.ledger import acknowledgements, episodes
from remediator.ledger.acknowledgements import BUCKETS, WaitingCount
from remediator.ledger.episodes import Episode

MAX_WAITING = 50  # series per stack: those that wait longest


async def acknowledge_families(connection: AsyncConnection, context: Context) -> Sequence[Metric]:
    """Return the families."""
    waiting = GaugeMetricFamily(
        "remediation_unacknowledged_since_timestamp_seconds",
        "Since when an open episode with a priority waits for an acknowledgement, in seconds since 1970.",
        labels=["stack", "remediation", "target", "priority"],
    )
    numbers: Counter[str] = Counter()
    for episode, since in sorted(await _waiting(connection, context), key=lambda each: each[1]):
        numbers[episode.stack] += 1
        if numbers[episode.stack] <= MAX_WAITING:
            waiting.add_metric(
                [episode.stack, episode.remediation, episode.target, episode.priority], since.timestamp()
            )
    return _durations(context, await acknowledgements.counts(connection)), waiting


async def _waiting(connection: AsyncConnection, context: Context) -> Sequence[tuple[Episode, datetime]]:
    """Return the open episodes of the inventory's stacks that no operator has in hand, with since when."""
    now = context.clock.now()
    found = [each for each in await episodes.all_open(connection) if each.priority]
    latest = await acknowledgements.latest_of(connection, [each.id for each in found])
    return [
        (each, waiting_since(each, latest.get(each.id), now))
        for each in found
        if each.stack in context.inventory.stacks
        and (each.id not in latest or latest[each.id].why_over(each, now) is not None)
    ]


def _durations(context: Context, rows: Sequence[WaitingCount]) -> Metric:
    family = HistogramMetricFamily(
        "remediation_acknowledge_seconds",
        "Time from the first delivery of an episode, or its last change, to its acknowledgement.",
        labels=["stack", "priority"],
    )
    for labels in sorted({(row.stack, row.priority) for row in rows if row.stack in context.inventory.stacks}):
        own = [row for row in rows if (row.stack, row.priority) == labels]
        family.add_metric(labels, list(_buckets(own)), sum_value=sum(row.seconds for row in own))
    return family


def _buckets(rows: Sequence[WaitingCount]) -> Iterator[tuple[str, float]]:
    numbers = Counter({row.bucket: row.acknowledgements for row in rows})
    limits = [*(str(float(limit)) for limit in BUCKETS), "+Inf"]
    yield from zip(limits, accumulate(numbers[place] for place in range(len(limits))), strict=True)
