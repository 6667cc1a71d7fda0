"""What would be collected, at what cost and with how many series: from the declarations alone, nothing is asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from exporter.collectors import COLLECTORS
from exporter.collectors.base import Collector
from exporter.runner import TARGET_METRICS
from inventory import Inventory


@dataclass(frozen=True)
class Cost:
    """One target. `series` is the most that a page can have of it, the exporter's own about it included.

    `round_trips` is the most that a scrape waits for, without connecting; 0 where only the background reads.
    `refresh` and `background` are the period and the cost of a reading in the background, None and "" without one.
    """

    stack: str
    collector: str
    target: str
    round_trips: int
    refresh: timedelta | None
    background: str
    families: tuple[str, ...]
    series: int


def costs(inventory: Inventory) -> Iterator[Cost]:
    """Yield every target's cost, in the order of the page."""
    for stack_name, stack in inventory.stacks.items():
        for kind, collector in COLLECTORS.items():
            for name in getattr(stack, kind):
                yield _cost(stack_name, kind, name, collector(stack, name))


def _cost(stack: str, kind: str, name: str, collector: Collector) -> Cost:
    slow = collector.slow
    return Cost(
        stack,
        kind,
        name,
        round_trips=collector.round_trips if collector.fast is not None else 0,
        refresh=slow.refresh if slow is not None else None,
        background=slow.cost if slow is not None else "",
        families=tuple(metric.name for metric in collector.metrics),
        series=sum(map(collector.most_series, collector.metrics)) + len(TARGET_METRICS),
    )
