"""`/api/v1/duties` and `/api/v1/windows`: due times, and the report that a duty was done."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import structlog
from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

from remediator.calendar.announcements import DueAnnouncement, announcements
from remediator.calendar.duties import DutyStatus, duties_of, read_duties
from remediator.context import Context
from remediator.ledger import duties as ledger
from remediator.ledger.duties import Completion
from remediator.model.clock import rfc3339
from remediator.model.known_stacks import require_stack
from remediator.model.windows import occurrences
from remediator.server.operator_api import OperatorGuard
from remediator.server.request_body import read_body
from runbookd.inventory import Role
from runbookd.inventory.suggest import suggest

MAX_SKEW = timedelta(minutes=1)  # between the clock of the sender and ours
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MAX_DAYS = 92
DEFAULT_DAYS = 14
log = structlog.get_logger(__name__)


class DutyReport(BaseModel):
    """The body of `POST /api/v1/duties/STACK/DUTY/done`."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime | None = None
    note: Annotated[str, StringConstraints(max_length=2_000)] = ""


def add_calendar_routes(app: web.Application, context: Context, require_operator: OperatorGuard) -> None:
    """Add the routes."""

    async def list_duties(request: web.Request, _operator: str) -> web.Response:
        return web.json_response({"duties": _of_stack(context, request, await _duties(context))})

    async def report(request: web.Request, operator: str) -> web.Response:
        stack, duty = request.match_info["stack"], request.match_info["duty"]
        return web.json_response(
            await record_duty(context, stack, duty, await read_body(request, DutyReport), operator)
        )

    async def list_windows(request: web.Request, _operator: str) -> web.Response:
        return web.json_response({"windows": _of_stack(context, request, _windows(context, _days(request)))})

    app.router.add_get("/api/v1/duties", require_operator(list_duties))
    app.router.add_post("/api/v1/duties/{stack}/{duty}/done", require_operator(report, Role.REPORTER))
    app.router.add_get("/api/v1/windows", require_operator(list_windows))


def _of_stack(context: Context, request: web.Request, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the rows of the stack in the query, or all without one."""
    stack = request.query.get("stack")
    require_stack(context.inventory, stack)
    return [each for each in rows if stack in (None, each["stack"])]


async def _duties(context: Context) -> Sequence[Mapping[str, Any]]:
    async with context.ledger.read() as connection:
        statuses = await read_duties(connection, context)
    return [_duty_json(each, context.clock.now()) for each in sorted(statuses, key=lambda each: each.due_at)]


def _duty_json(status: DutyStatus, now: datetime) -> Mapping[str, Any]:
    last = status.last
    return {
        "stack": status.stack,
        "duty": status.name,
        "state": status.state(now),
        "priority": status.duty.priority,
        "every_seconds": status.duty.every.total_seconds(),
        "grace_seconds": status.duty.grace.total_seconds(),
        "due_at": rfc3339(status.due_at),
        "last_done_at": None if last is None else rfc3339(last.at),
        "last_done_by": None if last is None else last.recorded_by,
        "note": "" if last is None else last.note,
        "first_seen_at": rfc3339(status.first_seen_at),
        "runbook_url": status.duty.runbook_url,
    }


async def record_duty(context: Context, stack: str, name: str, report: DutyReport, operator: str) -> Mapping[str, Any]:
    """Record that a duty was done, and return its new state.

    Raises:
        NoSuchTarget: the inventory has no such stack.
        HTTPNotFound: the stack has no such duty.
        HTTPConflict: the duty is measured, so nobody reports it.
        HTTPBadRequest: the time is in the future, or before 2000.
    """
    _require_duty(context, stack, name)
    now = context.clock.now()
    at = _require_past(report.at or now, now)
    async with context.ledger.write() as connection:
        context.require_operator(operator, Role.REPORTER)
        await ledger.record(connection, stack, name, Completion(at, operator, report.note), now)
        statuses = await read_duties(connection, context)
    log.info("duty done", operator=operator, stack=stack, duty=name, at=rfc3339(at))
    return next(_duty_json(each, now) for each in statuses if (each.stack, each.name) == (stack, name))


def _require_duty(context: Context, stack: str, name: str) -> None:
    require_stack(context.inventory, stack)
    duty = duties_of(context.inventory).get((stack, name))
    if duty is None:
        known = context.inventory.stacks[stack].duties
        raise web.HTTPNotFound(text=f"stack {stack} has no duty {name!r}{suggest(name, known)}\n")
    if duty.secrets:
        raise web.HTTPConflict(
            text=f"{name} is measured by the age of the secret files; replace them instead of reporting it\n"
        )


def _require_past(at: datetime, now: datetime) -> datetime:
    if at > now + MAX_SKEW:
        raise web.HTTPBadRequest(text=f"at: {rfc3339(at)} is in the future; report a duty after it was done\n")
    if at < EARLIEST:
        raise web.HTTPBadRequest(text=f"at: {rfc3339(at)} is before 2000; give the time at which it was done\n")
    return min(at, now)


def _days(request: web.Request) -> int:
    text = request.query.get("days", str(DEFAULT_DAYS))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_DAYS):
        raise web.HTTPBadRequest(text=f"days must be a whole number from 1 to {MAX_DAYS}, not {text[:50]!r}\n")
    return int(text)


def _windows(context: Context, days: int) -> Sequence[Mapping[str, Any]]:
    """Return the openings and the freezes of the next days, in the order in which they begin."""
    now, inventory = context.clock.now(), context.inventory
    until = now + timedelta(days=days)
    planned = list(announcements(inventory, now, until))
    found = [
        _opening(stack_name, name, opens_at, closes_at, planned)
        for stack_name, stack in inventory.stacks.items()
        for name, window in stack.windows.items()
        for opens_at, closes_at in occurrences(window, now, until)
    ]
    found += [
        {"stack": stack_name, "freeze": name, **_span(freeze.start, freeze.end), "reason": freeze.reason}
        for stack_name, stack in inventory.stacks.items()
        for name, freeze in stack.freezes.items()
        if freeze.end > now and freeze.start < until
    ]
    return sorted(found, key=lambda each: (each["opens_at"], each["stack"]))


def _opening(
    stack: str, name: str, opens_at: datetime, closes_at: datetime, planned: Sequence[DueAnnouncement]
) -> dict[str, Any]:
    own = [each for each in planned if (each.stack, each.window, each.opens_at) == (stack, name, opens_at)]
    return {
        "stack": stack,
        "window": name,
        **_span(opens_at, closes_at),
        "announcements": [_announcement(each) for each in sorted(own, key=lambda each: each.due_at)],
    }


def _span(opens_at: datetime, closes_at: datetime) -> dict[str, Any]:
    return {"opens_at": rfc3339(opens_at), "closes_at": rfc3339(closes_at)}


def _announcement(each: DueAnnouncement) -> Mapping[str, Any]:
    return {
        "name": each.name,
        "due_at": rfc3339(each.due_at),
        "text": each.announcement.text,
        "contacts": list(each.announcement.contacts),
    }
