"""Incidents of the product, injected again and again: idle transactions and failed jobs."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
import asyncpg

from chaos.audit.claims import session_name
from chaos.configuration import BOUNDS, TERMINATE
from chaos.lost_connections import NO_ANSWER, NO_DATABASE

MOST_SESSIONS = BOUNDS.max_items[TERMINATE] - 1
CROWD_SECONDS = 8.0
GIVE_UP_SECONDS = 60.0
FAIL_SECONDS = 1.5
_IDENTITY = "SELECT backend_start, pid FROM pg_stat_activity WHERE pid = pg_backend_pid()"


@dataclass
class Incidents:
    """The incidents of one product; `closed` are the sessions that it ended itself."""

    dsn: str
    jobs_url: str
    upstream_url: str
    http: aiohttp.ClientSession
    random: Random
    closed: set[str] = field(default_factory=set)
    sessions: int = 0
    jobs: int = 0
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def inject(self) -> None:
        """Inject incidents in random order until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._inject_sessions())
                group.create_task(self._inject_jobs())
        finally:
            await self.end_sessions()

    async def idle_sessions(self, count: int, seconds: float = GIVE_UP_SECONDS) -> None:
        """Open sessions that stay idle in a transaction until a remediator ends them, or for `seconds`."""
        for _ in range(count):
            task = asyncio.create_task(self._hold(seconds))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def failed_jobs(self, count: int) -> Sequence[str]:
        """Let `count` jobs fail, and return their ids; none if the product does not answer."""
        ids: list[str] = []
        try:
            with suppress(*NO_ANSWER):
                await self._switch("off")
                ids = (await self._jobs("POST", "/jobs", count=str(count)))["ids"]
                await asyncio.sleep(FAIL_SECONDS)
        finally:  # otherwise all later jobs would fail, too
            await self._switch_on()
        self.jobs += len(ids)
        return ids

    async def states(self, ids: Sequence[str]) -> Sequence[str]:
        """Return the states of jobs."""
        jobs = (await self._jobs("GET", "/jobs", ids=",".join(ids)))["jobs"]
        return [job["state"] for job in jobs]

    @property
    def open_sessions(self) -> int:
        """The number of sessions that are still idle."""
        return len(self._open)

    async def end_sessions(self) -> None:
        """End the sessions that are left."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _inject_sessions(self) -> None:
        while True:
            await asyncio.sleep(self.random.uniform(4, 9))
            if self.random.random() < 0.15:
                await self.idle_sessions(BOUNDS.max_items[TERMINATE] + 3, CROWD_SECONDS)
                await asyncio.sleep(CROWD_SECONDS)
            elif (room := MOST_SESSIONS - len(self._open)) > 0:
                await self.idle_sessions(self.random.randint(1, room))

    async def _inject_jobs(self) -> None:
        while True:
            await asyncio.sleep(self.random.uniform(7, 14))
            await self.failed_jobs(self.random.randint(4, 10))

    async def _hold(self, seconds: float) -> None:
        with suppress(*NO_DATABASE):
            connection = await asyncpg.connect(self.dsn, timeout=5)
            try:
                await self._stay_idle(connection, seconds)
            finally:
                connection.terminate()

    async def _stay_idle(self, connection: asyncpg.Connection, seconds: float) -> None:
        """Stay idle in a transaction until the session is ended, or the time is up."""
        identity: Any = await connection.fetchrow(_IDENTITY)
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        self.sessions += 1
        try:
            await connection.execute("BEGIN; SELECT count(*) FROM stock")
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await ended.wait()
        finally:
            if not ended.is_set():
                self.closed.add(session_name(identity["backend_start"], identity["pid"]))

    async def _switch_on(self) -> None:
        """Switch the upstream on; try until it answers."""
        for _ in range(20):
            with suppress(*NO_ANSWER):
                return await self._switch("on")
            await asyncio.sleep(0.2)
        return None

    async def _switch(self, state: str) -> None:
        async with self.http.put(f"{self.upstream_url}/switch", params={"state": state}) as answer:
            answer.raise_for_status()

    async def _jobs(self, method: str, path: str, **query: str) -> Any:
        async with self.http.request(method, self.jobs_url + path, params=query) as answer:
            answer.raise_for_status()
            return await answer.json()
