"""A client for a running demo: its addresses, its secrets and its HTTP interfaces."""

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
START_SECONDS = 20


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
        """POST a query without a body, and return the JSON of the answer."""
        async with self.http.post(self.ports.url(part) + path, params=query) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def text(self, part: str, path: str, **query: str) -> str:
        """GET text from one of the demo's parts."""
        async with self.http.get(self.ports.url(part) + path, params=query) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def runs(self, remediation: str) -> list[dict[str, Any]]:
        """Return the 20 newest runs of one remediation, newest first."""
        answer = await self._api("/api/v1/runs", stack="shop", remediation=remediation, limit="20")
        runs: list[dict[str, Any]] = answer["runs"]
        return runs

    async def run(self, number: int | str) -> dict[str, Any]:
        """Return one run with its history."""
        run: dict[str, Any] = await self._api(f"/api/v1/runs/{number}")
        return run

    async def start(self, remediation: str, target: str, **parameters: str) -> int:
        """Start a remediation as an operator, and return the number of its run."""
        asked = {"remediation": remediation, "target": target, "parameters": parameters}
        question = await self._post_api("/api/v1/questions", **asked)
        confirmed = {"plan_hash": question["plan_hash"]}
        run = await self._post_api(f"/api/v1/questions/{question['id']}/confirm", **confirmed)
        number: int = run["id"]
        return number

    async def _post_api(self, path: str, **body: Any) -> Any:
        token = {"Authorization": f"Bearer {self.paths.secret('operator_token')}"}
        url = self.ports.url("remediator") + path
        # A plan may take as long as the remediator allows.
        timeout = aiohttp.ClientTimeout(total=START_SECONDS)
        async with self.http.post(url, json=body, headers=token, timeout=timeout) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def _api(self, path: str, **query: str) -> Any:
        token = {"Authorization": f"Bearer {self.paths.secret('operator_token')}"}
        async with self.http.get(self.ports.url("remediator") + path, params=query, headers=token) as answer:
            answer.raise_for_status()
            return await answer.json()

    @asynccontextmanager
    async def database(self, role: str = "superuser") -> AsyncIterator[asyncpg.Connection]:
        """Open a connection to the product's database, by default as superuser."""
        connection = await asyncpg.connect(self.paths.secret(f"postgres_{role}"), timeout=TIMEOUT_SECONDS)
        try:
            yield connection
        finally:
            await connection.close(timeout=TIMEOUT_SECONDS)


@asynccontextmanager
async def running_demo(paths: DemoPaths) -> AsyncIterator[Demo]:
    """Connect to the running demo of `paths`.

    Raises:
        DemoNotRunning: the demo is not running, or has not finished its start.
    """
    if not paths.env.exists():
        raise DemoNotRunning("the demo is not running; start it with `make demo-up`")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as http:
        yield Demo(paths, Ports.load(paths), http)
