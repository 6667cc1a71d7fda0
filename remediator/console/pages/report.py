"""`/report`: what happened in a period; period and stack stand in the address, so that a link of it can be shared."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from remediator.console.rendering import render
from remediator.console.routes import ConsoleRoutes
from remediator.console.visitor import Visitor
from remediator.reports.period_document import document_of
from remediator.server.report_api import DEFAULT_SINCE, report_of

PERIODS = ("1d", "7d", "30d", "90d")


@dataclass(frozen=True)
class Choice:
    """A link to the report of another period or stack."""

    name: str
    address: str
    is_chosen: bool


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the page."""
    context = routes.context

    async def show(request: web.Request, visitor: Visitor) -> web.Response:
        query = request.query
        report = await report_of(context, query, is_frequent=True)
        since, stack = query.get("since") or DEFAULT_SINCE, report.period.stack
        return await render(
            request,
            visitor,
            "report.html",
            command=_command(since, stack),
            document=document_of(report),
            periods=[Choice(each, _address(each, stack), each == since) for each in PERIODS],
            of_stacks=_stack_choices(context.inventory.stacks, since, stack),
            is_read=False,  # a report is of the moment at which it was asked for
        )

    routes.get("/report", show, nav="Report")


def _stack_choices(stacks: Mapping[str, object], since: str, chosen: str | None) -> Sequence[Choice]:
    every = Choice("all stacks", _address(since, None), chosen is None)
    return [every, *(Choice(name, _address(since, name), name == chosen) for name in stacks)]


def _address(since: str, stack: str | None) -> str:
    return f"/report?{urlencode({'since': since, **({'stack': stack} if stack else {})})}"


def _command(since: str, stack: str | None) -> str:
    return shlex.join(["runbookctl", "report", "--since", since, *(["--stack", stack] if stack else [])])
