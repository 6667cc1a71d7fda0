"""`/duties`: what people do at intervals, the next one first, and the report that one was done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from aiohttp import web

from remediator.calendar.duties import DutyState, DutyStatus, read_duties
from remediator.console.rendering import render
from remediator.console.routes import ConsoleRoutes
from remediator.console.state_words import Look
from remediator.console.times import zone_of
from remediator.console.visitor import Visitor
from remediator.model.known_stacks import require_stack
from remediator.server.calendar_api import DutyReport, record_duty
from runbookd.inventory import Role

MAX_NOTE = 2_000  # characters
_LOOKS = {
    DutyState.OVERDUE: Look("overdue", "bad", "alert"),
    DutyState.DUE: Look("due", "warn", "clock"),
    DutyState.NEVER_DONE: Look("never done", "wait", "question"),
    DutyState.DONE: Look("done", "good", "check"),
}


@dataclass(frozen=True)
class ShownDuty:
    """A duty with its state now, and the zone of its stack."""

    status: DutyStatus
    look: Look
    zone: ZoneInfo | None


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the page and the report."""
    pages = _Pages(routes)
    routes.get("/duties", pages.show, nav="Duties")
    routes.post("/duties/{stack}/{duty}/done", pages.done, Role.REPORTER)


class _Pages:
    def __init__(self, routes: ConsoleRoutes) -> None:
        self._context = routes.context

    async def show(self, request: web.Request, visitor: Visitor) -> web.Response:
        """List the duties; `?stack=` limits them to one stack."""
        return await self._page(request, visitor)

    async def done(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Record a duty; a report that is refused keeps what was typed."""
        stack, duty, form = request.match_info["stack"], request.match_info["duty"], await request.post()
        typed = {name: str(form.get(name, "")).strip() for name in ("note", "at")}
        try:
            report = DutyReport(note=typed["note"][:MAX_NOTE], at=_parse_moment(typed["at"]))
            await record_duty(self._context, stack, duty, report, visitor.operator)
        except web.HTTPBadRequest as error:
            problem = {"stack": stack, "duty": duty, "text": (error.text or "").strip(), **typed}
            return await self._page(request, visitor, problem, status=error.status)
        raise web.HTTPSeeOther("/duties")

    async def _page(
        self, request: web.Request, visitor: Visitor, problem: Mapping[str, str] | None = None, status: int = 200
    ) -> web.Response:
        context, now, stack = self._context, self._context.clock.now(), request.query.get("stack") or None
        require_stack(context.inventory, stack)
        async with context.ledger.read() as connection:
            statuses = await read_duties(connection, context)
        duties = [
            ShownDuty(each, _LOOKS[each.state(now)], zone_of(context.inventory.stacks.get(each.stack)))
            for each in sorted(statuses, key=lambda each: each.due_at)
            if stack in (None, each.stack)
        ]
        values = {"duties": duties, "problem": problem, "chosen": stack, "max_note": MAX_NOTE}
        return await render(request, visitor, "duties.html", command="runbookctl duties", status=status, **values)


def _parse_moment(text: str) -> datetime | None:
    """Return the time that was typed, which is in UTC unless it says otherwise; None if it was left empty.

    Raises:
        HTTPBadRequest: it is no time.
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise web.HTTPBadRequest(text=f"when: {text[:50]!r} is no time; write it like 2026-11-29 10:00") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
