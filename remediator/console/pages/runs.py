"""`/runs`: the runs, newest first; every filter stands in the address, so that a link of it can be shared."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from remediator.console.rendering import render
from remediator.console.routes import ConsoleRoutes
from remediator.console.times import zone_of
from remediator.console.visitor import Visitor
from remediator.ledger import effects
from remediator.ledger.run_list import list_runs
from remediator.model.run_state import TRANSITIONS, RunState
from remediator.server.run_filter import check_run_filter

PAGE_SIZE = 50
UNFINISHED = "unfinished"
"""The choice of all states in which a run has not ended."""


@dataclass(frozen=True)
class RunFilter:
    """The filter in the address."""

    stack: str | None
    remediation: str | None
    state: str | None
    before: int | None

    @property
    def states(self) -> Sequence[RunState]:
        """The states that the choice stands for; none for all."""
        if self.state is None:
            return ()
        return list(TRANSITIONS) if self.state == UNFINISHED else [RunState(self.state)]

    def address(self, **changes: object) -> str:
        """Return the address of the page with `changes`; without `before` unless it is one of them."""
        values = {"stack": self.stack, "remediation": self.remediation, "state": self.state, **changes}
        query = urlencode({name: value for name, value in values.items() if value})
        return f"/runs?{query}" if query else "/runs"

    @property
    def command(self) -> str:
        """Return the equivalent of runbookctl."""
        if self.state == UNFINISHED:
            return "runbookctl status"
        values = {"stack": self.stack, "remediation": self.remediation, "state": self.state, "before": self.before}
        options = [part for name, value in values.items() if value for part in (f"--{name}", str(value))]
        return shlex.join(["runbookctl", "runs", *options])


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the page."""
    context = routes.context

    async def show(request: web.Request, visitor: Visitor) -> web.Response:
        chosen = _filter(request.query)
        async with context.ledger.read() as connection:
            await check_run_filter(connection, context, stack=chosen.stack, remediation=chosen.remediation)
            page = await list_runs(
                connection,
                stack=chosen.stack,
                remediation=chosen.remediation,
                state=chosen.states,
                limit=PAGE_SIZE,
                before=chosen.before,
            )
            items = await effects.count_items(connection, [run.id for run in page.runs])
        zones = {name: zone_of(stack) for name, stack in context.inventory.stacks.items()}
        return await render(
            request,
            visitor,
            "runs.html",
            command=chosen.command,
            chosen=chosen,
            runs=page.runs,
            items=items,
            older=chosen.address(before=page.next) if page.next is not None else None,
            searched_down_to=page.next if len(page.runs) < PAGE_SIZE else None,
            zones=zones,
            remediations=sorted(context.remediations),
            states=[UNFINISHED, *RunState],
        )

    routes.get("/runs", show, nav="Runs")


def _filter(query: Mapping[str, str]) -> RunFilter:
    """Return the filter of an address; an empty field of the form is no filter."""
    state = query.get("state") or None
    if state is not None and state != UNFINISHED and state not in list(RunState):
        raise web.HTTPBadRequest(text=f"state must be one of {UNFINISHED}, {', '.join(RunState)}")
    return RunFilter(query.get("stack") or None, query.get("remediation") or None, state, _before(query))


def _before(query: Mapping[str, str]) -> int | None:
    text = query.get("before") or None
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) > 0):
        raise web.HTTPBadRequest(text=f"before must be the number of a run, not {text[:50]!r}")
    return int(text)
