"""Health endpoints: `/-/healthy` (the process answers), `/-/ready` (it can do its work)."""

from collections.abc import Callable

from aiohttp import web

Readiness = Callable[[], str | None]


def add_health_routes(app: web.Application, unready: Readiness) -> None:
    """Add both routes. `unready` returns None, or the reason with its remedy."""

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="healthy\n")

    async def ready(_: web.Request) -> web.Response:
        reason = unready()
        return web.Response(text="ready\n") if reason is None else web.Response(status=503, text=f"{reason}\n")

    app.router.add_get("/-/healthy", healthy)
    app.router.add_get("/-/ready", ready)
