"""The scraper that serves now, and how a reload puts another one in its place."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from exporter.metric import gauge
from exporter.metrics_page import MetricsPage
from exporter.scrape import Scraper, Selection
from exporter.series import TargetSeries
from runbookd.inventory import Inventory, InventoryError, load_inventory

RELOAD_SUCCESS = gauge(
    "runbook_exporter_config_last_reload_success",
    "Whether the inventory was usable when it was last read (1); if not (0), the one before it is in use.",
)
RELOAD_TIME = gauge(
    "runbook_exporter_config_last_reload_success_timestamp_seconds",
    "When the inventory that is in use was read, in seconds since 1970.",
)
METRICS = (RELOAD_SUCCESS, RELOAD_TIME)
log = structlog.get_logger(__name__)


class ReloadableScraper:
    """Answers from one scraper at a time. A scrape is answered by the scraper that it began with."""

    def __init__(self, inventory: Inventory | None, file: Path | None) -> None:
        self.current = Scraper(inventory or Inventory())
        self.has_inventory = inventory is not None
        self.problem = ""
        """Why the last reload was refused, or nothing."""
        self._file = file
        self._read_at, self._series = time.time(), TargetSeries()
        self._reload_lock, self._retirement_lock = asyncio.Lock(), asyncio.Lock()
        self._retirements: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read in the background while the context is open, and leave no task and no connection behind."""
        self.current.start()
        try:
            yield
        finally:
            await self.current.close()
            await asyncio.gather(*self._retirements)

    async def scrape(self, deadline: float, selection: Selection) -> MetricsPage:
        """Return the page before `deadline` (event loop's clock)."""
        page = await self.current.scrape(deadline, selection)
        page.add(self._series, [RELOAD_SUCCESS(not self.problem), RELOAD_TIME(self._read_at)])
        return page

    async def reload(self) -> None:
        """Read the inventory anew and serve it from now on.

        Raises:
            InventoryError: it can not be used; the one before it stays.
        """
        async with self._reload_lock:
            try:
                inventory = await asyncio.to_thread(load_inventory, self._file, os.environ)
            except InventoryError as error:
                self.problem = str(error)
                log.error("reload refused, the old inventory stays", reason=self.problem)
                raise
            self._swap(inventory)
        log.info("reloaded", stacks=" ".join(self.current.stacks))

    def _swap(self, inventory: Inventory | None) -> None:
        before, self.current = self.current, Scraper(inventory or Inventory(), self.current)
        self.has_inventory, self.problem, self._read_at = inventory is not None, "", time.time()
        self.current.start()
        task = asyncio.create_task(self._retire(before, self.current), name="retire")
        self._retirements.add(task)
        task.add_done_callback(self._retirements.discard)

    async def _retire(self, before: Scraper, after: Scraper) -> None:
        """Let go of what is not gone on with. In turn: a scraper may have been given targets by the one before it."""
        async with self._retirement_lock:
            await before.wait_until_idle()
            await before.close(after)
