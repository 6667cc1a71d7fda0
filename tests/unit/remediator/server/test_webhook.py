"""The limits of the webhook, and its answers without a ledger."""

import io
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from remediator.context import Context
from remediator.engine.engine import Engine
from remediator.ledger.address import ledger_at
from remediator.model.clock import SystemClock
from remediator.server.bearer_tokens import BearerTokens
from remediator.server.webhook import READ_SECONDS, webhook
from tests.unit.remediator.conftest import inventory
from tests.unit.remediator.payloads import alert, delivery
from tests.unit.remediator.server.served import HOOK, ApiTestClient


async def test_delivery_at_the_limits_is_accepted(client: ApiTestClient) -> None:
    """Invariant 22: a thousand alerts, one MiB."""
    many = delivery([alert(fingerprint=f"f{number}") for number in range(1_000)])
    large = delivery().ljust(1024 * 1024)
    for body in (many, large):
        assert (await client.post("/webhook", data=io.BytesIO(body), headers=HOOK)).status == 200


def test_body_must_arrive_within_ten_seconds() -> None:
    """Alertmanager's own timeout is longer, so it receives the 503 before it gives up."""
    assert READ_SECONDS == 10


async def test_delivery_that_cannot_be_stored_gets_503(tmp_path: Path) -> None:
    """Invariant 27."""
    ledger, clock = ledger_at(f"sqlite:///{tmp_path}/ledger.db"), SystemClock()
    app = web.Application()
    engine = Engine(Context(inventory(), ledger, clock, {}, None))
    app.router.add_post("/webhook", webhook(ledger, clock, BearerTokens({}, ""), engine.gate))
    async with TestClient(TestServer(app)) as client:  # the ledger is not open
        answer = await client.post("/webhook", data=delivery())
        assert (answer.status, await answer.text()) == (503, "the ledger is unavailable; try again\n")
