"""The phases of a probe, as blackbox_exporter names them; those of all redirects are added up."""

from collections.abc import Iterator
from socket import AF_INET6, socket
from time import perf_counter
from typing import Any

import aiohttp
from aiohttp import AddrInfoType

from exporter.http.tls import Handshake

PHASES = ("resolve", "connect", "tls", "processing", "transfer")


class Phases:
    """The seconds of each phase of one probe."""

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._since = self._resolving_since = 0.0
        self._resolved = 0.0
        self.ip_protocol: int | None = None

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield each phase with its seconds."""
        yield from self._seconds.items()

    def end_transfer(self) -> None:
        """Count what has passed since the headers of the answer as transfer."""
        self._count("transfer", perf_counter() - self._since)

    def new_socket(self, address: AddrInfoType) -> socket:
        """Return a socket for an address, and remember its version of the internet protocol."""
        family, kind, protocol, _, _ = address
        self.ip_protocol = 6 if family == AF_INET6 else 4
        made = socket(family, kind, protocol)
        made.setblocking(False)
        return made

    def trace(self) -> aiohttp.TraceConfig:
        """Return the configuration with which a session reports to this object."""
        trace = aiohttp.TraceConfig()
        trace.on_dns_resolvehost_start.append(self._begin_to_resolve)
        trace.on_dns_resolvehost_end.append(self._end_to_resolve)
        trace.on_connection_create_start.append(self._begin_to_connect)
        trace.on_connection_create_end.append(self._end_to_connect)
        trace.on_request_headers_sent.append(self._begin_to_wait)
        trace.on_request_redirect.append(self._end_to_wait)
        trace.on_request_end.append(self._end_to_wait)
        return trace

    def _count(self, phase: str, seconds: float) -> None:
        self._seconds[phase] += max(seconds, 0.0)

    async def _begin_to_resolve(self, *_: Any) -> None:
        self._resolving_since = perf_counter()

    async def _end_to_resolve(self, *_: Any) -> None:
        self._resolved = perf_counter() - self._resolving_since
        self._count("resolve", self._resolved)

    async def _begin_to_connect(self, *_: Any) -> None:
        self._since, self._resolved, self._handshake.begun = perf_counter(), 0.0, None

    async def _end_to_connect(self, *_: Any) -> None:
        now = perf_counter()
        handshake = self._handshake.begun
        self._count("connect", (now if handshake is None else handshake) - self._since - self._resolved)
        self._count("tls", 0.0 if handshake is None else now - handshake)

    async def _begin_to_wait(self, *_: Any) -> None:
        self._since = perf_counter()

    async def _end_to_wait(self, *_: Any) -> None:
        now = perf_counter()
        self._count("processing", now - self._since)
        self._since = now
