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
from tests.unit.remediator.server.test_http import HOOK, ApiTestClient, client

__all__ = ["client"]


async def test_up_to_the_limits_it_is_accepted(client: ApiTestClient) -> None:
    """Invariant 22: a thousand alerts, one MiB."""
    many = delivery([alert(fingerprint=f"f{number}") for number in range(1_000)])
    large = delivery().ljust(1024 * 1024)
    for body in (many, large):
        assert (await client.post("/webhook", data=io.BytesIO(body), headers=HOOK)).status == 200


def test_a_body_has_ten_seconds_to_come() -> None:
    """Alertmanager's own limit is longer: it is told to try again before it gives up."""
    assert READ_SECONDS == 10


async def test_a_delivery_that_can_not_be_kept_is_sent_back(tmp_path: Path) -> None:
    """Invariant 27."""
    ledger, clock = ledger_at(f"sqlite:///{tmp_path}/ledger.db"), SystemClock()
    app = web.Application()
    engine = Engine(Context(inventory(), ledger, clock, {}, None))
    app.router.add_post("/webhook", webhook(ledger, clock, BearerTokens({}, ""), engine.gate))
    async with TestClient(TestServer(app)) as client:  # nobody has opened the ledger
        answer = await client.post("/webhook", data=delivery())
        assert (answer.status, await answer.text()) == (503, "the ledger is unavailable; try again\n")
