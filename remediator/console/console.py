"""Adds the console to the application: its pages, its static files, its headers and its error pages."""

from collections.abc import Callable

from aiohttp import web

from remediator.console.alerts import AlertmanagerWatch
from remediator.console.error_pages import errors_as_pages
from remediator.console.events import add_event_route
from remediator.console.headers import add_headers
from remediator.console.pages import (
    acknowledge,
    approvals,
    audit,
    duties,
    episode,
    incident,
    kill_switch,
    report,
    run,
    runs,
    stack,
    stacks,
    start,
)
from remediator.console.rendering import CONSOLE, Console
from remediator.console.routes import ConsoleRoutes
from remediator.console.static_files import serve_static
from remediator.console.visitor import ConsoleGuard, Visitor
from remediator.context import Context

# The paths of machines keep their own answers.
_ANY_OTHER_PATH = "/{path:(?!api(/|$)|-/|metrics$|webhook$).+}"


def add_console_routes(
    app: web.Application,
    context: Context,
    guard: ConsoleGuard,
    wake: Callable[[], None],
    fault: Callable[[], str | None],
) -> None:
    """Add the pages behind `guard`. An act that needs it calls `wake`; `fault` returns why nothing can be done now."""
    app[CONSOLE] = Console(context, fault, AlertmanagerWatch(context))
    app.middlewares.append(errors_as_pages)
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/static/{name}", serve_static)
    routes = ConsoleRoutes(app, context, guard, wake)
    # In the order of the navigation.
    for page in (
        stacks,
        stack,
        acknowledge,
        runs,
        run,
        approvals,
        start,
        report,
        duties,
        audit,
        kill_switch,
        episode,
        incident,
    ):
        page.add_routes(routes)
    add_event_route(app, context, guard)
    routes.get(_ANY_OTHER_PATH, _show_missing)


async def _show_missing(request: web.Request, _: Visitor) -> web.Response:
    """Say that there is no such page, on a page with the kill switch."""
    raise web.HTTPNotFound(text=f"There is no page {request.path}.")
