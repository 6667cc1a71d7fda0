"""The scraper in use, and its replacement on a reload."""

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
    "Whether the last reload of the inventory succeeded (1); if it failed (0), the previous inventory stays in use.",
)
RELOAD_TIME = gauge(
    "runbook_exporter_config_last_reload_success_timestamp_seconds",
    "When the inventory in use was loaded, in seconds since 1970.",
)
METRICS = (RELOAD_SUCCESS, RELOAD_TIME)
log = structlog.get_logger(__name__)


class ReloadableScraper:
    """Serves from one scraper, and replaces it on a reload.

    A scrape under way at a reload ends on the scraper that it began with.
    """

    def __init__(self, inventory: Inventory | None, file: Path | None) -> None:
        self.current = Scraper(inventory or Inventory())
        self.has_inventory = inventory is not None
        self.problem = ""
        """Why the last reload failed, or empty."""
        self._file = file
        self._read_at, self._series = time.time(), TargetSeries()
        self._reload_lock, self._retirement_lock = asyncio.Lock(), asyncio.Lock()
        self._retirements: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read in the background while the context is open; then end all tasks and connections."""
        self.current.start()
        try:
            yield
        finally:
            await self.current.close()
            await asyncio.gather(*self._retirements)

    async def scrape(self, deadline: float, selection: Selection) -> MetricsPage:
        """Return the page's samples before `deadline` (event loop's clock)."""
        page = await self.current.scrape(deadline, selection)
        page.add(self._series, [RELOAD_SUCCESS(not self.problem), RELOAD_TIME(self._read_at)])
        return page

    async def reload(self) -> None:
        """Re-read the inventory and serve it from now on.

        Raises:
            InventoryError: it cannot be used; the previous one stays in use.
        """
        async with self._reload_lock:
            try:
                inventory = await asyncio.to_thread(load_inventory, self._file, os.environ)
            except InventoryError as error:
                self.problem = str(error)
                log.error("reload failed, keeping the previous inventory", reason=self.problem)
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
        """Close the targets that the new scraper did not inherit, one retirement at a time.

        A scraper may itself hold inherited targets.
        """
        async with self._retirement_lock:
            await before.wait_until_idle()
            await before.close(after)
