"""The exporter's HTTP service."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from aiohttp import web

from daemon import add_health_routes, metrics_response
from daemon.check import NO_INVENTORY
from exporter.collectors import COLLECTORS
from exporter.deadline import HEADER, deadline_of
from exporter.landing_page import landing_page
from exporter.runner import Runner, Selection
from exporter.settings import ExporterSettings
from inventory import Inventory

RUNNER = web.AppKey("runner", Runner)


def build_app(_: ExporterSettings, inventory: Inventory | None) -> web.Application:
    """Return the application; without an inventory it is healthy but not ready, and serves its own metrics."""
    app = web.Application()
    app[RUNNER] = Runner(inventory or Inventory())
    app.cleanup_ctx.append(_running)
    app.router.add_get("/", _landing)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/sd", _service_discovery)
    add_health_routes(app, lambda: NO_INVENTORY if inventory is None else None)
    return app


async def _running(app: web.Application) -> AsyncIterator[None]:
    async with app[RUNNER].running():
        yield


async def _metrics(request: web.Request) -> web.Response:
    deadline = deadline_of(request.headers.get(HEADER), asyncio.get_running_loop().time())
    runner = request.app[RUNNER]
    selection = Selection(frozenset(request.query.getall("stack", [])), _collectors(request))
    if unknown := sorted(selection.stacks - set(runner.stacks)):
        raise web.HTTPNotFound(text=_unknown("stack", unknown, runner.stacks))
    return await metrics_response(await runner.scrape(deadline, selection), request)


def _collectors(request: web.Request) -> frozenset[str]:
    asked = frozenset(request.query.getall("collector", []))
    if unknown := sorted(asked - set(COLLECTORS)):
        raise web.HTTPBadRequest(text=_unknown("collector", unknown, COLLECTORS))
    return asked


def _unknown(what: str, names: Iterable[str], known: Iterable[str]) -> str:
    return f"unknown {what} {', '.join(map(repr, names))}; there are: {', '.join(sorted(known)) or 'none'}\n"


async def _service_discovery(request: web.Request) -> web.Response:
    """Prometheus' HTTP service discovery: a target for each stack, so that several Prometheus can share the work."""
    return web.json_response(
        [
            {"targets": [request.host], "labels": {"stack": name, "__param_stack": name}}
            for name in request.app[RUNNER].stacks
        ]
    )


async def _landing(request: web.Request) -> web.Response:
    return web.Response(text=landing_page(request.app[RUNNER].targets), content_type="text/html")
