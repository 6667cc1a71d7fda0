"""The endpoints of the five runbooks on a real HTTPS server, and endpoints that misbehave."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

GOOD: dict[str, Any] = {
    "/health": {"status": "ok"},
    "/api/health": {"database": "ok", "version": "13.0.0"},
    "/api/_health/live": {"status": "live"},
    "/api/_health/ready": {"status": "ready", "checks": [{"name": "database", "ok": True}]},
    "/api/version": {"version": "2.14.0", "commit": "4f2a9c1"},
}
DETAIL = "could not connect to postgresql://app:hunter2@db/shop"  # a readiness error that no page may show
BAD: dict[str, Any] = {
    "/not-ready": ({"status": "error", "error": DETAIL}, 503),
    "/degraded": ({"status": "degraded"}, 200),
    "/number": ({"status": 1}, 200),
    "/list": ({"status": ["ready"]}, 200),
    "/empty": ({}, 200),
}


@dataclass(frozen=True)
class Site:
    """A server at `url`, whose certificate `ca_file` signs until `expires_at`."""

    url: str
    ca_file: Path
    expires_at: datetime


def _bomb() -> bytes:
    return gzip.compress(b" " * 50_000_000, 9)


_RAW: dict[str, Callable[[], web.Response]] = {
    "/cdn": lambda: web.Response(text="<html>502 Bad Gateway</html>", content_type="text/html"),
    "/gzip": lambda: web.Response(body=gzip.compress(b'{"status": "ready"}'), headers={"Content-Encoding": "gzip"}),
    "/bomb": lambda: web.Response(body=_bomb(), headers={"Content-Encoding": "gzip"}),
    "/brotli": lambda: web.Response(body=b"\x0b\x02", headers={"Content-Encoding": "br"}),
    "/torn": lambda: web.Response(body=b"\x1f\x8b\x08torn", headers={"Content-Encoding": "gzip"}),
    "/deep": lambda: web.Response(text="[" * 100_000),
    "/large": lambda: web.Response(text='{"status": "' + "x" * 2_000_000 + '"}'),
    "/loop": lambda: web.Response(status=302, headers={"Location": "/loop"}),
    "/moved": lambda: web.Response(status=302, headers={"Location": "/health"}),
}


# The same paths below these are broken: down, a page of a proxy with status 200, and without the login that is right.
_BROKEN: dict[str, Callable[[], web.Response]] = {
    "/unavailable": lambda: web.json_response({"status": "error", "error": DETAIL}, status=503),
    "/page-of-a-proxy": lambda: web.Response(text="<html>ok</html>", content_type="text/html"),
    "/open": lambda: web.json_response([]),
}


async def _answer(request: web.Request) -> web.StreamResponse:
    path = request.path
    for below, answer in _BROKEN.items():
        if path.startswith(f"{below}/"):
            return answer()
    if path in GOOD:
        return web.json_response(GOOD[path], headers={"X-Served-By": "api-7"})
    if path in BAD:
        content, status = BAD[path]
        return web.json_response(content, status=status)
    if path == "/api/tasks":
        wanted = {"Bearer right-token", "Basic cHJvYmU6cmlnaHQtdG9rZW4="}
        return web.Response(status=200 if request.headers.get("Authorization") in wanted else 401)
    if path == "/echo":
        return web.Response(status=201, text=f"{request.method} {request.headers.get('X-Key')} {await request.text()}")
    if path == "/endless":
        return await _stream(request)
    return _RAW[path]()


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 4_096)
        await asyncio.sleep(0.001)


def certificate(
    folder: Path, *, name: str = "127.0.0.1", valid_for: timedelta | None = None
) -> tuple[ssl.SSLContext, Path, datetime]:
    """Return the context of a server, the file of the authority that signed its certificate, and the end of that."""
    authority = trustme.CA()
    expires_at = datetime.now(UTC).replace(microsecond=0) + (valid_for or timedelta(days=30))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    before = min(datetime.now(UTC), expires_at) - timedelta(days=60)
    authority.issue_cert(name, not_before=before, not_after=expires_at).configure_cert(context)
    authority.cert_pem.write_to_path(ca_file := folder / "ca.pem")
    return context, ca_file, expires_at


@asynccontextmanager
async def serve_contracts(
    folder: Path, *, name: str = "127.0.0.1", valid_for: timedelta | None = None
) -> AsyncIterator[Site]:
    """Serve the endpoints with a certificate for `name`, which ends `valid_for` from now."""
    context, ca_file, expires_at = certificate(folder, name=name, valid_for=valid_for)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield Site(f"https://127.0.0.1:{runner.addresses[0][1]}", ca_file, expires_at)
    finally:
        await runner.cleanup()
