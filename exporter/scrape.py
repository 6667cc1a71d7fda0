"""Runs every collector for a scrape, all at once, and puts the page together."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from prometheus_client import ProcessCollector

from exporter.collectors import COLLECTORS
from exporter.families import MAX_SERIES, Families
from exporter.metric import gauge
from exporter.scheduling import target
from exporter.scheduling.target import ScheduledTarget
from runbookd.inventory import Inventory, Stack
from runbookd.service import VERSION

BUILD_INFO = gauge("runbook_exporter_build_info", "Always 1; the label is the exporter's version.", "version")
STACK_INFO = gauge(
    "stack_info", "Always 1; the labels are addresses of the stack for people.", "stack", "runbook_url", "dashboard_url"
)
TASKS = gauge(
    "runbook_exporter_tasks",
    "Asynchronous tasks of the exporter now; those that belong to this very page are among them.",
)
DROPPED = gauge(
    "runbook_exporter_dropped_series",
    "Samples left out of this page: another one has the same name and labels, or the target has over "
    f"{MAX_SERIES} series of the metric (queues of bullmq_queue_jobs) and others have larger values. Of more "
    "queues the first by name are read; counted is what the others could have.",
    "collector",
)
# Longer than any scrape should take: what is no longer in the inventory is let go of then, whoever still waits for it.
LONGEST_SCRAPE_SECONDS = 60.0
OWN_METRICS = (BUILD_INFO, STACK_INFO, TASKS)
TARGET_METRICS = (*target.METRICS, DROPPED)


@dataclass(frozen=True)
class Selection:
    """The part of a page that a request asks for; an empty set is all of them."""

    stacks: frozenset[str] = frozenset()
    collectors: frozenset[str] = frozenset()

    def has_stack(self, name: str) -> bool:
        return not self.stacks or name in self.stacks

    def has(self, each: ScheduledTarget) -> bool:
        return self.has_stack(each.stack) and (not self.collectors or each.kind in self.collectors)


class Scraper:
    """The targets of an inventory, measured on demand.

    It goes on with those targets of the scraper `before` it whose stack has the same targets still: their connections
    and what they read in the background are as good as ever.
    """

    def __init__(self, inventory: Inventory, before: "Scraper | None" = None) -> None:
        self.stacks = inventory.stacks
        self._process = ProcessCollector(registry=None)
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
        """Read in the background while the context is open, and leave no task and no connection behind."""
        self.start()
        try:
            yield
        finally:
            await self.close()

    def start(self) -> None:
        """Begin to read in the background."""
        for each in self.targets:
            each.start()

    async def close(self, after: "Scraper | None" = None) -> None:
        """End all tasks and connections, but for those that the scraper `after` this one goes on with."""
        reused = set(after.targets) if after is not None else set()
        await asyncio.gather(*(each.close() for each in self.targets if each not in reused))

    async def wait_until_idle(self) -> None:
        """Wait until no scrape is under way, but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SCRAPE_SECONDS):
                await self._idle.wait()

    async def scrape(self, deadline: float, selection: Selection) -> Families:
        """Return the page before `deadline` (event loop's clock); process metrics only where everything is asked."""
        targets = [each for each in self.targets if selection.has(each)]
        with self._count_scrape():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(each.scrape(deadline)) for each in targets]
        whole = selection == Selection()
        families = Families([self._process] if whole else [])
        families.add(BUILD_INFO(1, VERSION))
        if whole:
            families.add(TASKS(len(asyncio.all_tasks())))
        for name, stack in self.stacks.items():
            if selection.has_stack(name):
                families.add(STACK_INFO(1, name, stack.runbook_url, stack.dashboard_url))
        for each, task in zip(targets, tasks, strict=True):
            dropped = families.add_all(task.result(), each.stack, each.name)
            each.dropped = Counter(dropped) + Counter(each.unread)
            families.add(DROPPED(sum(each.dropped.values()), each.kind), each.stack, each.name)
        return families

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
        """The targets of each stack whose targets are the same in `inventory`."""
        unchanged_stacks = (
            name
            for name, stack in inventory.stacks.items()
            if name in self.stacks and _sections(stack) == _sections(self.stacks[name])
        )
        return {name: [each for each in self.targets if each.stack == name] for name in unchanged_stacks}


def _sections(stack: Stack) -> list[object]:
    """All that collectors get to see. Compared as a whole, because one target may name another one."""
    return [getattr(stack, kind) for kind in COLLECTORS]


def _targets(stack_name: str, stack: Stack) -> Iterator[ScheduledTarget]:
    for kind, collector in COLLECTORS.items():
        for name in getattr(stack, kind):
            yield ScheduledTarget(stack_name, kind, name, collector(stack, name))
