"""The metrics of duties, windows and freezes."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.calendar.duties import read_duties
from remediator.context import Context
from remediator.model.windows import in_window

_DUTY = ["stack", "duty"]


async def duty_families(connection: AsyncConnection, context: Context) -> Sequence[Metric]:
    """Return when each duty was last done, and how often it has to be."""
    last = GaugeMetricFamily(
        "duty_last_done_timestamp_seconds",
        "When the duty was last done, or first seen if it was never done, in seconds since 1970.",
        labels=_DUTY,
    )
    interval = GaugeMetricFamily(
        "duty_interval_seconds", "Interval at which the duty has to be done, in seconds.", labels=_DUTY
    )
    grace = GaugeMetricFamily(
        "duty_grace_seconds", "Seconds after the interval before the duty is overdue.", labels=_DUTY
    )
    info = InfoMetricFamily("duty", "A duty of the inventory: its priority and its page.", labels=_DUTY)
    for each in await read_duties(connection, context):
        names = [each.stack, each.name]
        last.add_metric(names, each.counts_from.timestamp())
        interval.add_metric(names, each.duty.every.total_seconds())
        grace.add_metric(names, each.duty.grace.total_seconds())
        info.add_metric(names, {"priority": each.duty.priority, "runbook_url": each.duty.runbook_url})
    return last, interval, grace, info


def window_families(context: Context) -> Iterator[Metric]:
    """Yield which windows are open and which freezes are in force."""
    now = context.clock.now()
    windows = GaugeMetricFamily("stack_window_active", "Whether the window is open.", labels=["stack", "window"])
    freezes = GaugeMetricFamily("stack_freeze_active", "Whether the freeze is in force.", labels=["stack", "freeze"])
    for stack_name, stack in context.inventory.stacks.items():
        for name, window in stack.windows.items():
            windows.add_metric([stack_name, name], in_window(window, now))
        for name, freeze in stack.freezes.items():
            freezes.add_metric([stack_name, name], freeze.start <= now < freeze.end)
    yield from (windows, freezes)
