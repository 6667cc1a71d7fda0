"""`/api/v1/contacts`: who is notified, whether messages reach them, and a test message."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from aiohttp import web

from remediator.context import Context
from remediator.escalation.address import kind_of
from remediator.escalation.answer import Verdict
from remediator.escalation.contact import send_to
from remediator.escalation.content import Content, Severity
from remediator.ledger import outbox
from remediator.model.clock import rfc3339
from remediator.model.contact_log import ContactAttempts
from remediator.server.operator_api import OperatorGuard
from runbookd.inventory import Contact, SecretError

log = structlog.get_logger(__name__)


def add_contact_routes(app: web.Application, context: Context, require_operator: OperatorGuard) -> None:
    """Add the routes."""

    async def list_contacts(_request: web.Request, _operator: str) -> web.Response:
        return web.json_response({"contacts": await _contacts(context)})

    async def send_test(request: web.Request, operator: str) -> web.Response:
        return web.json_response(await _test(context, request.match_info["name"], operator))

    app.router.add_get("/api/v1/contacts", require_operator(list_contacts))
    app.router.add_post("/api/v1/contacts/{name}/test", require_operator(send_test))


async def _contacts(context: Context) -> list[Mapping[str, Any]]:
    async with context.ledger.read() as connection:
        last_sent = await outbox.last_sent(connection)
        unsent = await outbox.count_unsent_by_contact(connection)
    return [
        _contact_json(name, contact, context.contact_log.of(name), last_sent.get(name), unsent.get(name, 0))
        for name, contact in context.inventory.contacts.items()
    ]


def _contact_json(
    name: str, contact: Contact, attempts: ContactAttempts, last_sent: datetime | None, unsent: int
) -> Mapping[str, Any]:
    accepted = [at for at in (attempts.accepted_at, last_sent) if at is not None]
    return {
        "name": name,
        "kind": _kind(contact),
        "unsent": unsent,
        "last_success_at": rfc3339(max(accepted, default=None)),
        "last_failure_at": rfc3339(attempts.failed_at),
        "last_failure": attempts.problem,
    }


def _kind(contact: Contact) -> str:
    try:
        return kind_of(contact.url_secret().read())
    except SecretError:
        return "unknown"


async def _test(context: Context, name: str, operator: str) -> Mapping[str, Any]:
    if name not in context.inventory.contacts:
        known = ", ".join(context.inventory.contacts) or "none"
        raise web.HTTPNotFound(text=f"there is no contact {name[:50]!r}; the inventory has {known}\n")
    content = Content(
        f"[runbookd] test message to {name}",
        Severity.INFO,
        facts=(f"Operator {operator} sent this test message. Nothing is wrong.",),
        advice=("what next: Nothing. A message about a run has its reason, its plan and the next command here.",),
    )
    answer = await send_to(context, name, content, set())
    log.info("contact tested", operator=operator, contact=name, answer=answer.words)
    return {"contact": name, "accepted": answer.verdict is Verdict.ACCEPTED, "answer": answer.words}
