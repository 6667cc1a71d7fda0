"""The soak: scrapes continuously, causes incidents, injects faults, and reads what the daemons hold."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import aiohttp

from soak.environment import EXPORTER, REMEDIATOR, SoakEnvironment
from soak.faults import FAULTS
from soak.incidents import incidents
from soak.usage import GROWTH_BYTES, Usages, compare, read_usages

SCRAPE_SECONDS = 2.0
"""The scrape timeout that it sends."""
ANSWER_SECONDS = 20.0
_BETWEEN_SCRAPES_SECONDS = 0.2
_RECOVERY_SECONDS = 60.0
_PASSING_SECONDS = 20.0
_UP = ("pg_up{", "redis_up{", "bullmq_up{", "backup_up{", "probe_success{")
_READY = ("remediation_leader ", "remediation_ledger_up ", "remediation_engine_up ")


class SoakFailed(Exception):
    """A daemon failed a check of the soak."""


@dataclass
class Soak:
    """A soak of one environment; `slowest` is the longest scrape in seconds, and `allowed_seconds` its limit."""

    environment: SoakEnvironment
    session: aiohttp.ClientSession
    random: Random
    log: Callable[[str], None]
    allowed_seconds: float = SCRAPE_SECONDS
    scrapes: int = 0
    slowest: float = 0.0

    async def faults(self, seconds: float, each: float) -> None:
        """Inject all faults repeatedly in random order for `seconds`, `each` seconds per fault."""
        loop = asyncio.get_running_loop()
        end, names = loop.time() + seconds, list[str]()
        async with incidents(self.environment, self.session):
            while loop.time() < end:
                names = names or self.random.sample(list(FAULTS), len(FAULTS))
                await self._fault(names.pop(), each)

    async def each_fault(self, names: Sequence[str], seconds: float) -> None:
        """Inject some faults once, `seconds` per fault."""
        async with incidents(self.environment, self.session):
            for name in names:
                await self._fault(name, seconds)

    async def _fault(self, name: str, seconds: float) -> None:
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
                if down := _down(await self.page(), _UP):
                    raise SoakFailed(f"while an ALTER TABLE held its lock: {', '.join(down)}")
                await asyncio.sleep(1)

    async def usages(self) -> Usages:
        """Wait until every target is up again and no run is under way, then return what the daemons hold."""
        await self._wait_for_recovery()
        usages = await read_usages(self.environment, self._read)
        for daemon, usage in usages.items():
            self.log(f"{daemon}: {usage}")
        return usages

    async def changes(self, before: Usages, growth_bytes: Mapping[str, int] = GROWTH_BYTES) -> list[str]:
        """Return a line for each resource that changed: a leak stays, what is only under way has time to end."""
        end = asyncio.get_running_loop().time() + _PASSING_SECONDS
        while changed := compare(before, await self.usages(), growth_bytes):
            if asyncio.get_running_loop().time() > end:
                break
        return changed

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
        text = await self._read(EXPORTER)
        seconds = asyncio.get_running_loop().time() - began
        self.scrapes, self.slowest = self.scrapes + 1, max(self.slowest, seconds)
        if seconds > self.allowed_seconds:
            raise SoakFailed(f"a page after {seconds:.2f} s")
        series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
        if len(series) != len(set(series)):
            raise SoakFailed("a page has a series twice")
        return text

    async def fixed(self) -> int:
        """Return the number of runs that succeeded."""
        page = await self._read(REMEDIATOR)
        runs = [line for line in page.splitlines() if line.startswith("remediation_runs_total{")]
        return sum(int(float(line.rpartition(" ")[2])) for line in runs if 'outcome="succeeded"' in line)

    async def _read(self, daemon: str) -> str:
        headers = {"X-Prometheus-Scrape-Timeout-Seconds": str(SCRAPE_SECONDS)}
        async with self.session.get(f"{self.environment.url(daemon)}/metrics", headers=headers) as answer:
            if answer.status != 200:
                raise SoakFailed(f"{daemon}: a page with status {answer.status}")
            return await answer.text()

    async def _scrape_forever(self) -> None:
        while True:
            await self.page()
            await asyncio.sleep(_BETWEEN_SCRAPES_SECONDS)

    async def _wait_for_recovery(self) -> None:
        """Wait for two healthy looks in a row, because the last fault may act late."""
        end, healthy = asyncio.get_running_loop().time() + _RECOVERY_SECONDS, 0
        while healthy < 2:
            healthy = 0 if (down := await self._unhealthy()) else healthy + 1
            if asyncio.get_running_loop().time() > end:
                raise SoakFailed(f"still down after {_RECOVERY_SECONDS:.0f} s: {', '.join(down)}")
            await asyncio.sleep(0.5)

    async def _unhealthy(self) -> Sequence[str]:
        """Return what is not up, and the runs under way."""
        page = await self._read(REMEDIATOR)
        runs = [line for line in page.splitlines() if line.startswith("remediation_run_active{")]
        return [*_down(await self.page(), _UP), *_down(page, _READY), *runs]


def new_session() -> aiohttp.ClientSession:
    """Return a client that keeps no connections: they would count as files of the daemons."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), timeout=timeout)


def _down(page: str, names: tuple[str, ...]) -> Sequence[str]:
    """Return the lines of metrics that are not 1."""
    return [line for line in page.splitlines() if line.startswith(names) and not line.endswith(" 1.0")]
