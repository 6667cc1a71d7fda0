"""`/api/v1/report`: the report of a period, as JSON or rendered as text, Markdown or HTML."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from aiohttp import web

from remediator.context import Context
from remediator.model.errors import InvalidParameter
from remediator.reports.document import Document
from remediator.reports.document_html import as_html
from remediator.reports.document_markdown import as_markdown
from remediator.reports.document_text import as_text
from remediator.reports.period import PeriodReport
from remediator.reports.period_document import document_of
from remediator.reports.period_json import as_json
from remediator.reports.period_reading import check_period, read_report
from remediator.server.operator_api import OperatorGuard
from runbookd.inventory import parse_duration

DEFAULT_SINCE = "7d"
RENDERERS: Mapping[str, Callable[[Document], str]] = {"text": as_text, "markdown": as_markdown, "html": as_html}
FORMATS = ("json", *RENDERERS)


def add_report_route(app: web.Application, context: Context, require_operator: OperatorGuard) -> None:
    """Add the route."""

    async def get_report(request: web.Request, _operator: str) -> web.Response:
        chosen = request.query.get("format") or "json"
        if chosen not in FORMATS:
            raise web.HTTPBadRequest(text=f"format must be one of {', '.join(FORMATS)}, not {chosen[:50]!r}\n")
        report = await report_of(context, request.query)
        if chosen == "json":
            return web.json_response(as_json(report))
        return web.json_response({"format": chosen, "text": RENDERERS[chosen](document_of(report))})

    app.router.add_get("/api/v1/report", require_operator(get_report))


async def report_of(context: Context, query: Mapping[str, str], *, is_frequent: bool = False) -> PeriodReport:
    """Return the report that an address asks for, by its `since` and `stack`; `is_frequent` is as in `read_report`.

    Raises:
        InvalidParameter: the period is no duration, empty or too long.
        NoSuchTarget: the inventory has no such stack.
    """
    since, stack = _parse_since(query.get("since") or DEFAULT_SINCE), query.get("stack") or None
    check_period(context, since, stack)
    async with context.ledger.read() as connection:
        return await read_report(connection, context, since, stack, is_frequent=is_frequent)


def _parse_since(text: str) -> timedelta:
    try:
        return parse_duration(text[:100])
    except ValueError as error:
        raise InvalidParameter(f"since: {error}") from None
