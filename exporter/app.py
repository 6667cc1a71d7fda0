"""The exporter's HTTP service."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from aiohttp import web

from exporter.clock import monotonic
from exporter.collectors import COLLECTORS
from exporter.deadline import HEADER, deadline_of
from exporter.pages.debug import debug_page
from exporter.pages.landing import landing_page
from exporter.reload import NOTHING_MEASURED, ReloadableScraper
from exporter.scrape import Selection
from runbookd.inventory import Inventory
from runbookd.service import add_health_routes, add_reload_route, metrics_response
from runbookd.service.check import NO_INVENTORY
from runbookd.service.missing import MISSING_PARTS, MissingPart, missing_targets

SCRAPER = web.AppKey("serving", ReloadableScraper)


def build_app(inventory: Inventory | None, load: Callable[[], Inventory | None]) -> web.Application:
    """Build the application. Without an inventory it is healthy but not ready. A reload calls `load` in a thread."""
    app = web.Application()
    scraper = app[SCRAPER] = ReloadableScraper(inventory, load)
    app[MISSING_PARTS] = tuple(_missing_parts(inventory))
    app.cleanup_ctx.append(_run_in_background)
    app.router.add_get("/", _serve_landing_page)
    app.router.add_get("/metrics", _serve_metrics)
    app.router.add_get("/sd", _serve_service_discovery)
    add_health_routes(app, lambda: None if scraper.has_inventory else NO_INVENTORY)
    add_reload_route(app, scraper.reload)
    return app


def _missing_parts(inventory: Inventory | None) -> Iterator[MissingPart]:
    if inventory is None:
        yield MissingPart("an inventory", f"{NOTHING_MEASURED}; pass one with --config.file")
    else:
        yield from missing_targets(inventory, NOTHING_MEASURED)


async def _run_in_background(app: web.Application) -> AsyncIterator[None]:
    async with app[SCRAPER].running():
        yield


async def _serve_metrics(request: web.Request) -> web.Response:
    deadline = deadline_of(request.headers.get(HEADER), monotonic())
    scraper = request.app[SCRAPER]
    selection = Selection(frozenset(request.query.getall("stack", [])), _selected_collectors(request))
    if unknown_stacks := sorted(selection.stacks - set(scraper.current.stacks)):
        raise web.HTTPNotFound(text=_unknown_message("stack", unknown_stacks, scraper.current.stacks))
    if _wants_debug_page(request):
        return web.Response(text=await debug_page(scraper.current, deadline, selection))
    page = await scraper.scrape(deadline, selection)
    return await metrics_response(page.encode, request)


def _selected_collectors(request: web.Request) -> frozenset[str]:
    collectors = frozenset(request.query.getall("collector", []))
    if unknown_collectors := sorted(collectors - set(COLLECTORS)):
        raise web.HTTPBadRequest(text=_unknown_message("collector", unknown_collectors, COLLECTORS))
    return collectors


def _wants_debug_page(request: web.Request) -> bool:
    value = request.query.get("debug", "false")
    if value not in ("true", "false"):
        raise web.HTTPBadRequest(text=f"debug must be true or false, not {value!r}\n")
    return value == "true"


def _unknown_message(kind: str, names: Iterable[str], valid: Iterable[str]) -> str:
    return f"unknown {kind} {', '.join(map(repr, names))}; there are: {', '.join(sorted(valid)) or 'none'}\n"


async def _serve_service_discovery(request: web.Request) -> web.Response:
    """List one target per stack, so that several Prometheus servers can share the work."""
    return web.json_response(
        [
            {"targets": [request.host], "labels": {"stack": name, "__param_stack": name}}
            for name in request.app[SCRAPER].current.stacks
        ]
    )


async def _serve_landing_page(request: web.Request) -> web.Response:
    scraper = request.app[SCRAPER]
    page = landing_page(scraper.current.targets, scraper.reload.problem)
    return web.Response(text=page, content_type="text/html")
