"""Plays the operator: closes breakers, and lifts the pause of a ledger that has lost commits."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

import aiohttp

from chaos.lost_connections import NO_ANSWER

_EVERY_SECONDS = 1.0
_THINKS_SECONDS = 2.0


@dataclass
class Operator:
    """An operator who works at a random replica."""

    replicas: Sequence[str]
    token: str
    http: aiohttp.ClientSession
    random: Random
    lifted_at: list[float] = field(default_factory=list)
    pause_reasons: list[str] = field(default_factory=list)
    closed_breakers: int = 0

    async def work(self) -> None:
        """Look every second until cancelled; a replica that is out is left for the next look."""
        while True:
            with suppress(*NO_ANSWER):
                await self._look(self.random.choice(self.replicas))
            await asyncio.sleep(_EVERY_SECONDS)

    async def _look(self, url: str) -> None:
        for pause in (await self._ask("GET", f"{url}/api/v1/pause"))["pauses"]:
            await asyncio.sleep(_THINKS_SECONDS)
            self.pause_reasons.append(str(pause.get("reason")))
            self.lifted_at.append(time.time())  # before the request: its answer may be lost, or late
            await self._ask("DELETE", f"{url}/api/v1/pause")
        for breaker in (await self._ask("GET", f"{url}/api/v1/breakers"))["breakers"]:
            target = f"{breaker['remediation']}/{quote(breaker['target'])}"
            await self._ask("DELETE", f"{url}/api/v1/breakers/{target}")
            self.closed_breakers += 1

    async def _ask(self, method: str, url: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.request(method, url, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json() if answer.content_type == "application/json" else None
