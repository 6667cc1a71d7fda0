"""`POST /webhook`: accepts a delivery, makes it durable, answers. It never runs anything."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from remediator.intake.gate import IntakeGate
from remediator.ledger.protocol import Ledger
from remediator.model.clock import Clock
from remediator.model.delivery import MAX_BYTES, parse_delivery
from remediator.model.errors import LedgerUnavailable, MalformedDelivery, TooManyAlerts
from remediator.server.bearer_tokens import BearerTokens
from remediator.server.metrics import DELIVERIES

READ_SECONDS = 10.0
log = structlog.get_logger(__name__)

WebhookHandler = Callable[[web.Request], Awaitable[web.Response]]


def webhook(ledger: Ledger, clock: Clock, tokens: BearerTokens, gate: IntakeGate) -> WebhookHandler:
    """Return the handler.

    Alertmanager retries only after 5xx, so 503 means "later" and 4xx means "never".
    """

    async def handle(request: web.Request) -> web.Response:
        if tokens:
            tokens.authenticate(request)
        refusal = gate.refusal()
        if refusal is not None:
            raise _unavailable(refusal)
        body = await _read(request)
        try:
            parse_delivery(body)  # only to refuse what can never be processed: the raw body is the record
            await ledger.accept(clock.now(), body)
        except TooManyAlerts as error:
            raise _too_large(str(error)) from None
        except MalformedDelivery as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        except LedgerUnavailable as error:
            log.error("delivery not accepted", reason=str(error))
            gate.failed(str(error))
            raise _unavailable("the ledger is unavailable") from None
        gate.accepted()
        return web.Response(text="accepted\n")

    return _count_deliveries(handle)


def _count_deliveries(handle: WebhookHandler) -> WebhookHandler:
    async def handle_and_count(request: web.Request) -> web.Response:
        try:
            response = await handle(request)
        except web.HTTPException as error:
            DELIVERIES.labels(_ANSWER_BY_STATUS.get(error.status, "malformed")).inc()
            log.warning("delivery refused", status=error.status, reason=(error.text or "").strip())
            raise
        DELIVERIES.labels("accepted").inc()
        return response

    return handle_and_count


_ANSWER_BY_STATUS = {401: "unauthorized", 403: "unauthorized", 503: "unavailable"}


def _unavailable(reason: str) -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(text=f"{reason}; try again\n")


def _too_large(problem: str) -> web.HTTPRequestEntityTooLarge:
    remedy = "set max_alerts in Alertmanager's webhook_configs, or group_by: ['...'] in its route"
    return web.HTTPRequestEntityTooLarge(MAX_BYTES, MAX_BYTES, text=f"{problem}; {remedy}\n")


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large("the body is larger than 1 MiB") from None
    except web.RequestPayloadError:
        cause = "it is truncated, or its Content-Encoding is wrong"
        raise web.HTTPBadRequest(text=f"cannot read the body: {cause}\n") from None
    except TimeoutError:  # not 408: Alertmanager would not retry before its next interval
        raise _unavailable(f"the body did not arrive within {READ_SECONDS:.0f} s") from None
