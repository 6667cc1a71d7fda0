"""The metrics of problems that come back: how often within a week, and from when on that is too often."""

from collections.abc import Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.reports.recurring import limit_of, recent_recurrences

LABELS = ("stack", "remediation", "target")


async def recurrence_families(connection: AsyncConnection, context: Context) -> Sequence[Metric]:
    """Return both families."""
    times = GaugeMetricFamily(
        "remediation_recurrences",
        "Times within the last seven days that the remediation found something on the target.",
        labels=LABELS,
    )
    limits = GaugeMetricFamily(
        "remediation_recurrence_limit",
        "Times within seven days from which the problem counts as recurring.",
        labels=LABELS,
    )
    for each, target in await recent_recurrences(connection, context, is_frequent=True):
        labels = (each.key.stack, each.key.remediation, each.key.target)
        times.add_metric(labels, each.times)
        limits.add_metric(labels, limit_of(target))
    return times, limits
