"""The scraper in use, and its replacement on a reload."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from exporter.metric import gauge
from exporter.metrics_page import MetricsPage
from exporter.scrape import Scraper, Selection
from exporter.series import TargetSeries
from runbookd.inventory import Inventory
from runbookd.service import InventoryReload
from runbookd.service.missing import log_missing, missing_targets
from runbookd.service.reload import SUCCESS_HELP, TIME_HELP, refuse_half_written

RELOAD_SUCCESS = gauge("runbook_exporter_config_last_reload_success", SUCCESS_HELP)
RELOAD_TIME = gauge("runbook_exporter_config_last_reload_success_timestamp_seconds", TIME_HELP)
METRICS = (RELOAD_SUCCESS, RELOAD_TIME)
NOTHING_MEASURED = "nothing is measured"
log = structlog.get_logger(__name__)


class ReloadableScraper:
    """Serves from one scraper, and replaces it on a reload.

    A scrape under way at a reload ends on the scraper that it began with.
    """

    def __init__(self, inventory: Inventory | None, load: Callable[[], Inventory | None]) -> None:
        self.current = Scraper(inventory or Inventory())
        self.has_inventory = inventory is not None
        self.reload = InventoryReload(load, self._replace)
        self._series = TargetSeries()
        self._retirement_lock = asyncio.Lock()
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
        page.add(self._series, [RELOAD_SUCCESS(not self.reload.problem), RELOAD_TIME(self.reload.loaded_at)])
        return page

    async def _replace(self, inventory: Inventory | None, actor: str) -> str:
        """Serve `inventory` from now on. Raises InventoryError if it has no stacks, although the previous one has."""
        refuse_half_written(self.current.stacks, inventory.stacks if inventory is not None else ())
        before, self.current = self.current, Scraper(inventory or Inventory(), self.current)
        self.has_inventory = inventory is not None
        self.current.start()
        task = asyncio.create_task(self._retire(before, self.current), name="retire")
        self._retirements.add(task)
        task.add_done_callback(self._retirements.discard)
        log.info("reloaded", stacks=" ".join(self.current.stacks), by=actor)
        log_missing(missing_targets(inventory or Inventory(), NOTHING_MEASURED))
        return ""

    async def _retire(self, before: Scraper, after: Scraper) -> None:
        """Close the targets that the new scraper did not inherit, one retirement at a time.

        A scraper may itself hold inherited targets.
        """
        async with self._retirement_lock:
            await before.wait_until_idle()
            await before.close(after)
