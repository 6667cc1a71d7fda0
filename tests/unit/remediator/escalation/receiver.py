"""A real receiver of messages, and an engine whose contacts are there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.alertmanager import AlertmanagerReader
from remediator.escalation.acknowledge import end_lapsed
from remediator.escalation.attachments import Attachments
from remediator.escalation.policy import escalate_due_steps
from remediator.escalation.sender import send_due
from runbookd.inventory import Inventory, Secret, SecretStr
from tests.unit.remediator.conftest import EngineHarness, engine_harness

STEPS = {
    "first": {"contacts": ["oncall"]},
    "second": {"after": "30m", "contacts": ["leads"]},
    "third": {"after": "1h", "contacts": ["managers"]},
    "fourth": {"after": "2h", "contacts": ["executives"], "only_while": ["ApiDown"]},
}


@dataclass
class NotificationReceiver:
    """A server for Apprise's JSON messages, with one path per contact, and for Alertmanager's list of alerts."""

    messages: list[tuple[str, str, str]] = field(default_factory=list)
    status: int = 200
    hangs: str = ""
    trickles: str = ""
    is_over: bool = False
    alerts: list[Any] = field(default_factory=list)
    url: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    called: list[str] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.StreamResponse:
        contact = request.match_info["contact"]
        self.called.append(contact)
        if contact == self.hangs:
            await self.released.wait()
        if contact == self.trickles:
            return await self._trickle(request)
        message = await request.json()
        if self.status == 200:
            self.messages.append((contact, message["title"], message["message"]))
            self.arrived.set()
        return web.Response(status=self.status)

    async def _trickle(self, request: web.Request) -> web.StreamResponse:
        """Answer byte by byte until the test is over, so that no single read takes long."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not self.is_over:
            await answer.write(b".")
            await asyncio.sleep(0.1)
        return answer

    async def active(self, request: web.Request) -> web.Response:
        return web.json_response(self.alerts)

    def contacts(self) -> list[str]:
        return [contact for contact, _, _ in self.messages]

    def titles(self, contact: str) -> int:
        """Return the number of different titles that a contact received."""
        return len({title for recipient, title, _ in self.messages if recipient == contact})


@asynccontextmanager
async def serve_receiver() -> AsyncIterator[NotificationReceiver]:
    receiver, app = NotificationReceiver(), web.Application()
    app.router.add_post("/contacts/{contact}", receiver.receive)
    app.router.add_get("/api/v2/alerts", receiver.active)
    async with TestServer(app, shutdown_timeout=0.1) as server:
        receiver.url = f"http://127.0.0.1:{server.port}"
        yield receiver


def inventory_with_steps(receiver: NotificationReceiver, steps: Any) -> Inventory:
    address = receiver.url.replace("http://", "json://")
    names = ("oncall", "leads", "managers", "executives")
    stack = {
        "runbook_url": "https://runbooks.example/shop",
        "postgres": {"main": {"dsn": "postgresql://db/shop"}},
        "escalation": steps,
        "remediations": {"clear_folder": {"mode": "auto", "max_items": 1}},
    }
    return Inventory.model_validate(
        {
            "alertmanager": {"url": receiver.url},
            "contacts": {name: {"url": f"{address}/contacts/{name}?rto=60"} for name in names},
            "stacks": {"shop": stack},
        }
    )


@asynccontextmanager
async def harness_with_receiver(
    folder: Path, receiver: NotificationReceiver, steps: Any = STEPS
) -> AsyncIterator[EngineHarness]:
    async with engine_harness(folder, inventory_with_steps(receiver, steps)) as harness:
        context = harness.context
        with_alertmanager = replace(
            context, alertmanager=AlertmanagerReader(Secret("alertmanager.url", SecretStr(receiver.url), None))
        )
        yield EngineHarness(with_alertmanager, harness.files, harness.clock)


async def send_notifications(harness: EngineHarness) -> None:
    await end_lapsed(harness.context)
    await escalate_due_steps(harness.context)
    await send_due(harness.context, Attachments(harness.context))


async def pass_time(harness: EngineHarness, **span: float) -> None:
    """Advance the clock, deliver the firing alert again, and send the notifications."""
    harness.clock.advance(**span)
    await harness.deliver()
    await harness.work()
    await send_notifications(harness)


async def resolve(harness: EngineHarness) -> None:
    await harness.deliver(status="resolved")
    await harness.work()
