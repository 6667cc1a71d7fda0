"""Runs every collector of a scrape concurrently and assembles the page."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from prometheus_client import ProcessCollector

from exporter.collectors import COLLECTORS
from exporter.metric import Sample, gauge
from exporter.metrics_page import MetricsPage
from exporter.scheduling import target
from exporter.scheduling.target import ScheduledTarget
from exporter.series import MAX_SERIES, TargetSeries
from runbookd.inventory import Inventory, Stack
from runbookd.service import VERSION

BUILD_INFO = gauge("runbook_exporter_build_info", "Always 1; the label is the exporter's version.", "version")
STACK_INFO = gauge(
    "stack_info",
    "Always 1; the labels are the URLs of its runbook and dashboard.",
    "stack",
    "runbook_url",
    "dashboard_url",
)
TASKS = gauge(
    "runbook_exporter_tasks",
    "Asynchronous tasks of the exporter, including those of this scrape.",
)
DROPPED = gauge(
    "runbook_exporter_dropped_series",
    f"Samples dropped from this page: duplicates, and series beyond the limit of {MAX_SERIES} per metric and target. "
    f"Only the first {MAX_SERIES} queues by name are read; the series of the rest are counted here.",
    "collector",
)
# Longer than any scrape takes: targets that left the inventory are closed then, even while a scrape waits for them.
LONGEST_SCRAPE_SECONDS = 60.0
OWN_METRICS = (BUILD_INFO, STACK_INFO, TASKS)
TARGET_METRICS = (*target.METRICS, DROPPED)


@dataclass(frozen=True)
class Selection:
    """The part of a page that a request asks for; an empty set stands for all."""

    stacks: frozenset[str] = frozenset()
    collectors: frozenset[str] = frozenset()

    def has_stack(self, name: str) -> bool:
        """Return whether the page includes a stack."""
        return not self.stacks or name in self.stacks

    def has(self, each: ScheduledTarget) -> bool:
        """Return whether the page includes a target."""
        return self.has_stack(each.stack) and (not self.collectors or each.kind in self.collectors)


class Scraper:
    """The targets of an inventory, measured on demand.

    It reuses the targets of the scraper `before` it where a stack is unchanged, with their connections and their
    background readings.
    """

    def __init__(self, inventory: Inventory, before: "Scraper | None" = None) -> None:
        self.stacks = inventory.stacks
        self._process = ProcessCollector(registry=None)
        self._own_series = TargetSeries()
        reusable = before._reusable_targets(inventory) if before is not None else {}
        self.targets = tuple(
            each
            for name, stack in inventory.stacks.items()
            for each in (reusable[name] if name in reusable else _targets(name, stack))
        )
        self._scrapes_running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the background readings while the context is open; no task and no connection outlives it."""
        self.start()
        try:
            yield
        finally:
            await self.close()

    def start(self) -> None:
        """Start the background readings."""
        for each in self.targets:
            each.start()

    async def close(self, after: "Scraper | None" = None) -> None:
        """End all tasks and connections except those that the scraper `after` this one reuses."""
        reused = set(after.targets) if after is not None else set()
        await asyncio.gather(*(each.close() for each in self.targets if each not in reused))

    async def wait_until_idle(self) -> None:
        """Wait until no scrape is running, at most `LONGEST_SCRAPE_SECONDS`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SCRAPE_SECONDS):
                await self._idle.wait()

    async def scrape(self, deadline: float, selection: Selection) -> MetricsPage:
        """Return the page before `deadline` (event loop's clock), with process metrics only for a whole page."""
        targets = [each for each in self.targets if selection.has(each)]
        with self._count_scrape():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(each.scrape(deadline)) for each in targets]
        whole = selection == Selection()
        page = MetricsPage([self._process] if whole else [])
        page.add(self._own_series, self._own_samples(selection))
        for each, task in zip(targets, tasks, strict=True):
            dropped = await page.add_in_steps(each.series, task.result())
            each.dropped = Counter(dropped) + Counter(each.unread)
            page.add(each.dropped_series, [DROPPED(sum(each.dropped.values()), each.kind)])
        return page

    def _own_samples(self, selection: Selection) -> Iterator[Sample]:
        yield BUILD_INFO(1, VERSION)
        if selection == Selection():
            yield TASKS(len(asyncio.all_tasks()))
        for name, stack in self.stacks.items():
            if selection.has_stack(name):
                yield STACK_INFO(1, name, stack.runbook_url, stack.dashboard_url)

    @contextmanager
    def _count_scrape(self) -> Iterator[None]:
        self._scrapes_running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._scrapes_running -= 1
            if not self._scrapes_running:
                self._idle.set()

    def _reusable_targets(self, inventory: Inventory) -> dict[str, list[ScheduledTarget]]:
        """Return the targets per stack of the stacks that are unchanged in `inventory`."""
        unchanged_stacks = (
            name
            for name, stack in inventory.stacks.items()
            if name in self.stacks and _sections(stack) == _sections(self.stacks[name])
        )
        return {name: [each for each in self.targets if each.stack == name] for name in unchanged_stacks}


def _sections(stack: Stack) -> list[object]:
    """Return everything that collectors read. It is compared as a whole, because targets refer to each other."""
    return [getattr(stack, kind) for kind in COLLECTORS]


def _targets(stack_name: str, stack: Stack) -> Iterator[ScheduledTarget]:
    for kind in COLLECTORS:
        for name in getattr(stack, kind):
            yield ScheduledTarget(stack_name, kind, name, COLLECTORS[kind](stack, name))
