"""The soak: scrapes continuously, injects faults, and compares the process."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import aiohttp

from soak.environment import SoakEnvironment
from soak.faults import FAULTS

ALLOWED_SECONDS = 2.0
"""The scrape timeout that it sends; every page must arrive within it."""
GROWTH_BYTES = 5 * 1024 * 1024
_BETWEEN_SCRAPES_SECONDS = 0.2
_RECOVERY_SECONDS = 60.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class SoakFailed(Exception):
    """The exporter failed a check of the soak."""


@dataclass(frozen=True)
class ProcessUsage:
    """The exporter's memory in bytes, open files and tasks while every target is up."""

    rss: int
    files: int
    tasks: int

    def __str__(self) -> str:
        return f"{self.rss / 1024**2:.1f} MiB, {self.files} files, {self.tasks} tasks"


@dataclass
class Soak:
    """A soak of one environment; `slowest` is the longest scrape in seconds."""

    environment: SoakEnvironment
    session: aiohttp.ClientSession
    random: Random
    log: Callable[[str], None]
    scrapes: int = 0
    slowest: float = 0.0

    async def faults(self, seconds: float, each: float) -> None:
        """Inject all faults repeatedly in random order for `seconds`, `each` seconds per fault."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            names = list(FAULTS)
            self.random.shuffle(names)
            for name in names:
                if loop.time() >= end:
                    return
                await self.fault(name, each)

    async def fault(self, name: str, seconds: float) -> None:
        """Inject one fault for `seconds`."""
        self.log(name)
        async with FAULTS[name](self.environment):
            await asyncio.sleep(seconds)
        await asyncio.sleep(seconds / 2)

    async def hold_lock(self, seconds: float) -> None:
        """Hold the lock of an ALTER TABLE for `seconds`. Raises SoakFailed if a target is down."""
        self.log(f"ALTER TABLE, held for {seconds:.0f} s")
        end = asyncio.get_running_loop().time() + seconds
        async with FAULTS["ALTER TABLE"](self.environment):
            while asyncio.get_running_loop().time() < end:
                if down := _down(await self.page()):
                    raise SoakFailed(f"while an ALTER TABLE held its lock: {', '.join(down)}")
                await asyncio.sleep(1)

    async def usage(self) -> ProcessUsage:
        """Wait until every target is up again, then return the process's usage.

        Takes the minimum of several samples, because a connection to storage may be open during some of them.
        """
        await self._wait_for_recovery()
        samples = [await self._sample_usage() for _ in range(10)]
        return ProcessUsage(*(min(sample[place] for sample in samples) for place in range(3)))

    @asynccontextmanager
    async def scrape_continuously(self) -> AsyncIterator[None]:
        """Scrape continuously; raise SoakFailed (in a group) for a late or broken page."""
        async with asyncio.TaskGroup() as group:
            scraping = group.create_task(self._scrape_forever())
            yield
            scraping.cancel()

    async def page(self) -> str:
        """Return one page. Raises SoakFailed."""
        began = asyncio.get_running_loop().time()
        headers = {"X-Prometheus-Scrape-Timeout-Seconds": str(ALLOWED_SECONDS)}
        async with self.session.get(f"{self.environment.url}/metrics", headers=headers) as answer:
            text, status = await answer.text(), answer.status
        seconds = asyncio.get_running_loop().time() - began
        self.scrapes, self.slowest = self.scrapes + 1, max(self.slowest, seconds)
        if status != 200 or seconds > ALLOWED_SECONDS:
            raise SoakFailed(f"a page with status {status} after {seconds:.2f} s")
        series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
        if len(series) != len(set(series)):
            raise SoakFailed("a page has a series twice")
        return text

    async def _scrape_forever(self) -> None:
        while True:
            await self.page()
            await asyncio.sleep(_BETWEEN_SCRAPES_SECONDS)

    async def _wait_for_recovery(self) -> None:
        """Wait for two healthy pages in a row, because the last fault may act late."""
        end, healthy_pages = asyncio.get_running_loop().time() + _RECOVERY_SECONDS, 0
        while healthy_pages < 2:
            text = await self.page()
            healthy_pages = 0 if (down := _down(text)) else healthy_pages + 1
            if asyncio.get_running_loop().time() > end:
                raise SoakFailed(f"still down after {_RECOVERY_SECONDS:.0f} s: {', '.join(down)}")
            await asyncio.sleep(0.5)

    async def _sample_usage(self) -> tuple[int, int, int]:
        text = await self.page()
        (tasks,) = [line for line in text.splitlines() if line.startswith("runbook_exporter_tasks ")]
        process = Path("/proc") / str(self.environment.pid)
        rss = int((process / "statm").read_text().split()[1]) * _PAGE
        await asyncio.sleep(0.1)
        return rss, len(list((process / "fd").iterdir())), int(float(tasks.split()[1]))


def new_session() -> aiohttp.ClientSession:
    """Return a client that keeps no connections: they would count as the exporter's files."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))


def compare(before: ProcessUsage, after: ProcessUsage) -> list[str]:
    """Return a line for each resource that grew."""
    differences = []
    if after.rss > before.rss + GROWTH_BYTES:
        differences.append(f"memory: {before} before, {after} after")
    if after.files != before.files:
        differences.append(f"files: {before.files} before, {after.files} after")
    if after.tasks != before.tasks:
        differences.append(f"tasks: {before.tasks} before, {after.tasks} after")
    return differences


def _down(text: str) -> list[str]:
    """Return the lines of targets that are not up."""
    names = ("pg_up{", "redis_up{", "bullmq_up{", "backup_up{", "probe_success{")
    return [line for line in text.splitlines() if line.startswith(names) and not line.endswith(" 1.0")]
