"""Limits the open connections: a client that only opens them must not use up the descriptors of the daemon."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

MAX_CONNECTIONS = 500  # Linux allows a process 1,024 open files by default; targets and the ledger need some
HANDSHAKE_SECONDS = 10.0  # for TLS; a connection counts after it


class Connections:
    """The connections of the listener of `app`. One too many ends the oldest without a request, or else the oldest."""

    def __init__(self, app: web.Application) -> None:
        self._in_use: set[RequestHandler] = set()
        app.middlewares.insert(0, self._count_request)

    def limited(self, server: web.Server) -> Callable[[], RequestHandler]:
        """Return what makes the protocol of a new connection, and room for it."""

        def accept() -> RequestHandler:
            self._make_room(server)
            return server()

        return accept

    @web.middleware
    async def _count_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._in_use.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._in_use.discard(request.protocol)

    def _make_room(self, server: web.Server) -> None:
        transports = {each: each.transport for each in server.connections if each.transport is not None}
        connections = {each: transport for each, transport in transports.items() if not transport.is_closing()}
        excess = len(connections) + 1 - MAX_CONNECTIONS
        if excess > 0:
            for each in sorted(connections, key=self._in_use.__contains__)[:excess]:  # both kinds by age
                connections[each].abort()
