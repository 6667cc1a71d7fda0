"""The exporter's HTTP service."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from aiohttp import web

from exporter.collectors import COLLECTORS
from exporter.deadline import HEADER, deadline_of
from exporter.pages.debug import debug_page
from exporter.pages.landing import landing_page
from exporter.reload import Serving
from exporter.scheduling.runner import Selection
from exporter.settings import ExporterSettings
from runbookd.inventory import Inventory
from runbookd.service import add_health_routes, add_reload_route, metrics_response
from runbookd.service.check import NO_INVENTORY

SERVING = web.AppKey("serving", Serving)


def build_app(settings: ExporterSettings, inventory: Inventory | None) -> web.Application:
    """Return the application; without an inventory it is healthy but not ready, and serves its own metrics."""
    app = web.Application()
    serving = app[SERVING] = Serving(inventory, settings.config.file)
    app.cleanup_ctx.append(_running)
    app.router.add_get("/", _landing)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/sd", _service_discovery)
    add_health_routes(app, lambda: None if serving.has_inventory else NO_INVENTORY)
    add_reload_route(app, serving.reload)
    return app


async def _running(app: web.Application) -> AsyncIterator[None]:
    async with app[SERVING].running():
        yield


async def _metrics(request: web.Request) -> web.Response:
    deadline = deadline_of(request.headers.get(HEADER), asyncio.get_running_loop().time())
    serving = request.app[SERVING]
    selection = Selection(frozenset(request.query.getall("stack", [])), _collectors(request))
    if unknown := sorted(selection.stacks - set(serving.runner.stacks)):
        raise web.HTTPNotFound(text=_unknown("stack", unknown, serving.runner.stacks))
    if _debug(request):
        return web.Response(text=await debug_page(serving.runner, deadline, selection))
    return await metrics_response(await serving.scrape(deadline, selection), request)


def _collectors(request: web.Request) -> frozenset[str]:
    asked = frozenset(request.query.getall("collector", []))
    if unknown := sorted(asked - set(COLLECTORS)):
        raise web.HTTPBadRequest(text=_unknown("collector", unknown, COLLECTORS))
    return asked


def _debug(request: web.Request) -> bool:
    asked = request.query.get("debug", "false")
    if asked not in ("true", "false"):
        raise web.HTTPBadRequest(text=f"debug is true or false, not {asked!r}\n")
    return asked == "true"


def _unknown(what: str, names: Iterable[str], known: Iterable[str]) -> str:
    return f"unknown {what} {', '.join(map(repr, names))}; there are: {', '.join(sorted(known)) or 'none'}\n"


async def _service_discovery(request: web.Request) -> web.Response:
    """Prometheus' HTTP service discovery: a target for each stack, so that several Prometheus can share the work."""
    return web.json_response(
        [
            {"targets": [request.host], "labels": {"stack": name, "__param_stack": name}}
            for name in request.app[SERVING].runner.stacks
        ]
    )


async def _landing(request: web.Request) -> web.Response:
    serving = request.app[SERVING]
    page = landing_page(serving.runner.targets, serving.problem)
    return web.Response(text=page, content_type="text/html")
