"""A sender of deliveries of its own, which raises the alert of the gate."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp

from chaos.configuration import CALL, GATE_TARGET, TIGHT
from chaos.gate import Gate
from chaos.lost_connections import NO_ANSWER

_EVERY_SECONDS = 1.0
_OPEN_SECONDS = 3.0
_LABELS = {"alertname": "GateClosed", "stack": TIGHT, "target": GATE_TARGET, "remediation": CALL}


@dataclass
class Sender:
    """Closes the gate again and again, and delivers its alert to a random replica."""

    gate: Gate
    url: str
    replicas: int
    token: str
    http: aiohttp.ClientSession
    random: Random
    free_at: Callable[[], float]
    closed_at: datetime | None = None
    opened_at: float = 0.0
    sent: int = 0

    async def send(self) -> None:
        """Deliver every second until cancelled."""
        while True:
            await self._deliver()
            if self.closed_at is not None and self.gate.is_open:
                self.closed_at, self.opened_at = None, time.time()
            elif self.gate.is_open and self._may_close():
                self.close()
            await asyncio.sleep(_EVERY_SECONDS)

    def _may_close(self) -> bool:
        """Return whether no run is under way: after a crash, the next leader still asks whether the gate is open."""
        return self.free_at() > self.opened_at + _OPEN_SECONDS

    def close(self) -> None:
        """Close the gate: a run has to open it."""
        self.gate.is_open, self.closed_at = False, datetime.now(UTC)

    async def _deliver(self) -> None:
        url = f"{self.url}/sender/{self.random.randrange(self.replicas)}/webhook"
        headers = {"Authorization": f"Bearer {self.token}"}
        with suppress(*NO_ANSWER):
            async with self.http.post(url, json=self._body(), headers=headers) as answer:
                await answer.read()

    def _body(self) -> Mapping[str, Any]:
        """Return a delivery that differs from every other one, so that each has to have its row."""
        now = datetime.now(UTC)
        self.sent += 1
        fires = self.closed_at is not None
        alert = {
            "status": "firing" if fires else "resolved",
            "labels": _LABELS,
            "annotations": {},
            "startsAt": (self.closed_at or now).isoformat(),
            "endsAt": "0001-01-01T00:00:00Z" if fires else now.isoformat(),
            "fingerprint": "c4a05",
        }
        common = {"version": "4", "groupKey": f"chaos-{self.sent}", "truncatedAlerts": 0, "receiver": "chaos"}
        return {**common, "status": alert["status"], "alerts": [alert]}
