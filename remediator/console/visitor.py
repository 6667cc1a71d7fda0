"""The signed-in operator of a request to the console, and the guard that pages are put behind."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from runbookd.inventory import Role


@dataclass(frozen=True)
class Visitor:
    """An operator in a browser. Without a `session`, the trusted proxy's header named the operator.

    Each form carries `csrf` in a field of that name.
    """

    operator: str
    role: Role
    csrf: str
    session: int | None


ConsoleHandler = Callable[[web.Request, Visitor], Awaitable[web.StreamResponse]]


class ConsoleGuard(Protocol):
    """Guards a handler of the console.

    A GET without a session leads to /login; a POST needs the session, its own origin, the form's `csrf` and the role
    `least`, in this order. The form is read by then, so `await request.post()` returns it at once.
    """

    def __call__(self, handler: ConsoleHandler, least: Role = Role.VIEWER) -> Handler:
        """Return the guarded handler."""

    async def is_current(self, request: web.Request, visitor: Visitor) -> bool:
        """Return whether `visitor` is still signed in with this role; a stream of events ends otherwise."""
