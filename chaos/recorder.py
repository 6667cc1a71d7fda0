"""Forwards every delivery to its replica, and records the answer that its sender gets."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from chaos.audit.evidence import AcceptedDelivery
from chaos.lost_connections import NO_ANSWER

_HEADERS = ("Authorization", "Content-Type")
_SECONDS = 8.0


@dataclass
class Recorder:
    """The addresses that the senders deliver to: /SENDER/REPLICA/webhook; `ports` are those of the replicas."""

    ports: Mapping[int, int]
    http: aiohttp.ClientSession
    accepted: list[AcceptedDelivery] = field(default_factory=list)
    attempts: int = 0

    def application(self) -> web.Application:
        """Return the service."""
        app = web.Application(client_max_size=2**21)
        app.add_routes([web.post("/{sender}/{replica}/webhook", self._forward)])
        return app

    async def _forward(self, request: web.Request) -> web.Response:
        body, replica = await request.read(), int(request.match_info["replica"])
        self.attempts += 1
        try:
            status = await self._post(replica, body, request.headers)
        except NO_ANSWER as error:
            return web.Response(status=502, text=f"{type(error).__name__}\n")
        if status == 200:
            digest = hashlib.sha256(body).hexdigest()
            self.accepted.append(AcceptedDelivery(time.time(), request.match_info["sender"], replica, digest))
        return web.Response(status=status)

    async def _post(self, replica: int, body: bytes, headers: Mapping[str, str]) -> int:
        url = f"http://127.0.0.1:{self.ports[replica]}/webhook"
        kept = {name: headers[name] for name in _HEADERS if name in headers}
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with self.http.post(url, data=body, headers=kept, timeout=timeout) as answer:
            await answer.read()
            return answer.status
