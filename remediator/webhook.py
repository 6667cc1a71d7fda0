"""`POST /webhook`: takes a delivery, makes it durable, answers. It never runs anything."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from remediator.clock import Clock
from remediator.credentials import Bearers
from remediator.delivery import parse_delivery
from remediator.engine import Engine
from remediator.errors import LedgerUnavailable, MalformedDelivery
from remediator.ledger import Ledger, deliveries

READ_SECONDS = 10.0
log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.Response]]


def webhook(ledger: Ledger, clock: Clock, bearers: Bearers, engine: Engine) -> Handler:
    """Return the handler.

    Alertmanager tries again after 5xx only, so 503 says "later" and 4xx "this will never do".
    """

    async def handle(request: web.Request) -> web.Response:
        if bearers:
            bearers.sender(request)
        if engine.stop.is_set():
            return web.Response(status=503, text="stopping; try again\n")
        body = await _read(request)
        try:
            delivery = parse_delivery(body)
            async with ledger.write() as connection:
                identifier = await deliveries.accept(connection, clock.now(), body)
        except MalformedDelivery as error:
            log.warning("delivery refused", reason=str(error))
            return web.Response(status=400, text=f"{error}\n")
        except LedgerUnavailable as error:
            log.error("delivery not accepted", reason=str(error))
            return web.Response(status=503, text="the ledger is out; try again\n")
        log.info("delivery accepted", delivery=identifier, alerts=len(delivery.alerts))
        engine.wake()
        return web.Response(text="accepted\n")

    return handle


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await request.read()
    except web.RequestPayloadError:
        raise web.HTTPBadRequest(text="the body can not be read: it is cut off or not encoded as it says\n") from None
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body did not arrive within {READ_SECONDS:.0f} s\n") from None
