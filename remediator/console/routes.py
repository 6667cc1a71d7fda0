"""Adds the routes of the pages, each behind the guard; an error in one becomes a page as well."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from remediator.console.error_pages import answer_with_page
from remediator.console.rendering import CONSOLE
from remediator.console.visitor import ConsoleGuard, ConsoleHandler, Visitor
from remediator.context import Context
from runbookd.inventory import Role


@dataclass(frozen=True)
class ConsoleRoutes:
    """The place where a page adds its routes. `wake` starts the engine's next round now."""

    app: web.Application
    context: Context
    guard: ConsoleGuard
    wake: Callable[[], None]

    def get(self, path: str, handler: ConsoleHandler, *, nav: str = "") -> None:
        """Add a page that any operator may read; `nav` is its word in the navigation."""
        self.app.router.add_get(path, self.guard(_with_error_pages(handler)))
        if nav:
            self.app[CONSOLE].nav[path] = nav

    def post(self, path: str, handler: ConsoleHandler, least: Role = Role.OPERATOR) -> None:
        """Add an act, for operators with at least the role `least`."""
        self.app.router.add_post(path, self.guard(_with_error_pages(handler), least))


def _with_error_pages(handler: ConsoleHandler) -> ConsoleHandler:
    async def handle(request: web.Request, visitor: Visitor) -> web.StreamResponse:
        return await answer_with_page(request, visitor, handler(request, visitor))

    return handle
