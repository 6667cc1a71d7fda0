"""Runs every collector for a scrape, all at once, and puts the page together."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import ProcessCollector

from daemon import VERSION
from exporter import target
from exporter.collectors import COLLECTORS
from exporter.families import MAX_SERIES, Families
from exporter.metric import gauge
from exporter.target import Target
from inventory import Inventory

BUILD_INFO = gauge("runbook_exporter_build_info", "Always 1; the label is the exporter's version.", "version")
STACK_INFO = gauge(
    "stack_info", "Always 1; the labels are addresses of the stack for people.", "stack", "runbook_url", "dashboard_url"
)
DROPPED = gauge(
    "runbook_exporter_dropped_series",
    "Samples left out of this page: another one has the same name and labels, or the target has over "
    f"{MAX_SERIES} series of the metric and others have larger values.",
    "collector",
)
OWN_METRICS = (BUILD_INFO, STACK_INFO)
TARGET_METRICS = (*target.METRICS, DROPPED)


@dataclass(frozen=True)
class Selection:
    """The part of a page that a request asks for; an empty set is all of them."""

    stacks: frozenset[str] = frozenset()
    collectors: frozenset[str] = frozenset()

    def has_stack(self, name: str) -> bool:
        return not self.stacks or name in self.stacks

    def has(self, each: Target) -> bool:
        return self.has_stack(each.stack) and (not self.collectors or each.kind in self.collectors)


class Runner:
    """The targets of an inventory, measured on demand."""

    def __init__(self, inventory: Inventory) -> None:
        self.stacks = inventory.stacks
        self._process = ProcessCollector(registry=None)
        self.targets = tuple(_targets(inventory))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read in the background while the context is open, and leave no task and no connection behind."""
        for each in self.targets:
            each.start()
        try:
            yield
        finally:
            await asyncio.gather(*(each.close() for each in self.targets))

    async def scrape(self, deadline: float, selection: Selection) -> Families:
        """Return the page before `deadline` (event loop's clock); process metrics only where everything is asked."""
        targets = [each for each in self.targets if selection.has(each)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each.scrape(deadline)) for each in targets]
        families = Families([self._process] if selection == Selection() else [])
        families.add(BUILD_INFO(1, VERSION))
        for name, stack in self.stacks.items():
            if selection.has_stack(name):
                families.add(STACK_INFO(1, name, stack.runbook_url, stack.dashboard_url))
        for each, task in zip(targets, tasks, strict=True):
            dropped = families.add_all(task.result(), each.stack, each.name)
            families.add(DROPPED(dropped, each.kind), each.stack, each.name)
        return families


def _targets(inventory: Inventory) -> Iterator[Target]:
    for stack_name, stack in inventory.stacks.items():
        for kind, collector in COLLECTORS.items():
            for name in getattr(stack, kind):
                yield Target(stack_name, kind, name, collector(stack, name))
