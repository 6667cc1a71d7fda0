"""A feature gate that counts its openings: a service whose effects cannot be told apart, so each one counts."""

import time
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Gate:
    """The gate, and the times of all openings that reached it."""

    is_open: bool = True
    openings: list[float] = field(default_factory=list)

    def application(self) -> web.Application:
        """Return its service: GET tells whether it is open, PUT opens it."""
        app = web.Application()
        app.add_routes([web.get("/gate", self._read), web.put("/gate", self._open)])
        return app

    async def _read(self, _: web.Request) -> web.Response:
        return web.json_response({"open": self.is_open})

    async def _open(self, _: web.Request) -> web.Response:
        self.openings.append(time.time())
        self.is_open = True
        return web.json_response({"open": True})
