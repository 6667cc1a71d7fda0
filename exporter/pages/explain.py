"""Computes what the exporter would collect, and its cost, without reading a target."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from exporter.collector import Collector
from exporter.collectors import COLLECTORS
from exporter.scheduling.job_lane import METRICS as JOB_METRICS
from exporter.scrape import TARGET_METRICS
from runbookd.inventory import Inventory


@dataclass(frozen=True)
class TargetCost:
    """The cost of one target.

    `series` is its maximum on a page, including the exporter's own samples about it. `round_trips` is the most that
    a scrape waits for, without connecting; 0 if only the background reads. `refresh` and `background` are the period
    and the cost of a background reading, None and "" without one. `jobs` are the names of the background jobs.
    """

    stack: str
    collector: str
    target: str
    round_trips: int
    refresh: timedelta | None
    background: str
    jobs: tuple[str, ...]
    families: tuple[str, ...]
    series: int


def costs(inventory: Inventory) -> Iterator[TargetCost]:
    """Yield the cost of every target, in the order of the page."""
    for stack_name, stack in inventory.stacks.items():
        for kind, collector in COLLECTORS.items():
            for name in getattr(stack, kind):
                yield _cost(stack_name, kind, name, collector(stack, name))


def _cost(stack: str, kind: str, name: str, collector: Collector) -> TargetCost:
    scrape, background = collector.scrape, collector.background
    jobs = collector.jobs.jobs if collector.jobs is not None else ()
    metrics = (*collector.metrics, *(metric for job in jobs for metric in job.metrics))
    return TargetCost(
        stack,
        kind,
        name,
        round_trips=scrape.round_trips if scrape is not None else 0,
        refresh=background.refresh if background is not None else None,
        background=background.cost if background is not None else "",
        jobs=tuple(job.name for job in jobs),
        families=tuple(dict.fromkeys(metric.name for metric in metrics)),
        series=sum(map(collector.most_series, collector.metrics))
        + sum(job.most_series + len(JOB_METRICS) for job in jobs)
        + len(TARGET_METRICS),
    )
