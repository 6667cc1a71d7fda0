"""A demo that is up, seen from outside: its addresses, its secrets, and a client for its HTTP interfaces."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg

from demo.errors import DemoNotRunning
from demo.paths import DemoPaths
from demo.ports import Ports

TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Demo:
    """One running demo."""

    paths: DemoPaths
    ports: Ports
    http: aiohttp.ClientSession

    async def get(self, part: str, path: str, **query: str) -> Any:
        """GET JSON from one of the demo's parts."""
        async with self.http.get(self.ports.url(part) + path, params=query) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def post(self, part: str, path: str, **query: str) -> Any:
        """POST nothing but a query, and return the JSON of the answer."""
        async with self.http.post(self.ports.url(part) + path, params=query) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def text(self, part: str, path: str, **query: str) -> str:
        """GET text from one of the demo's parts."""
        async with self.http.get(self.ports.url(part) + path, params=query) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def runs(self, remediation: str) -> list[dict[str, Any]]:
        """The newest runs of one remediation of the demo's stack, newest first."""
        answer = await self._api("/api/v1/runs", stack="shop", remediation=remediation, limit="20")
        runs: list[dict[str, Any]] = answer["runs"]
        return runs

    async def run(self, number: int | str) -> dict[str, Any]:
        """One run with its history."""
        run: dict[str, Any] = await self._api(f"/api/v1/runs/{number}")
        return run

    async def _api(self, path: str, **query: str) -> Any:
        token = {"Authorization": f"Bearer {self.paths.secret('operator_token')}"}
        async with self.http.get(self.ports.url("remediator") + path, params=query, headers=token) as answer:
            answer.raise_for_status()
            return await answer.json()

    @asynccontextmanager
    async def database(self, role: str = "superuser") -> AsyncIterator[asyncpg.Connection]:
        """A connection to the product's database, as the onlooker who may see everything unless told otherwise."""
        connection = await asyncpg.connect(self.paths.secret(f"postgres_{role}"), timeout=TIMEOUT_SECONDS)
        try:
            yield connection
        finally:
            await connection.close(timeout=TIMEOUT_SECONDS)


@asynccontextmanager
async def running_demo(paths: DemoPaths) -> AsyncIterator[Demo]:
    """The demo of `paths`.

    Raises:
        DemoNotRunning: there is none, or it is not complete.
    """
    if not paths.env.exists():
        raise DemoNotRunning("no demo is up here; `make demo-up` starts one")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as http:
        yield Demo(paths, Ports.load(paths), http)
