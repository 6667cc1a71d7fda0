"""Puts the parts together: the ledger, the engine, the sender, and the routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from remediator.clients.alertmanager import AlertmanagerReader
from remediator.config_check import wrong_remediations
from remediator.context import World
from remediator.engine.engine import Engine
from remediator.escalation.sender import send_until
from remediator.ledger.address import ledger_at
from remediator.model.clock import SystemClock
from remediator.model.delivery import MAX_BYTES
from remediator.model.errors import LedgerUnavailable
from remediator.remediations import REMEDIATIONS
from remediator.runs.execution import STOPPING
from remediator.server import metrics
from remediator.server.bearer_tokens import Bearers
from remediator.server.json_errors import errors_as_json
from remediator.server.operator_api import add_api_routes
from remediator.server.preview_api import add_preview_routes
from remediator.server.status_api import add_status_route
from remediator.server.webhook import webhook
from remediator.settings import RemediatorSettings
from runbookd.inventory import Inventory
from runbookd.service import BEFORE_CLOSING, OWN_CREDENTIALS, UnusableConfiguration, add_health_routes, metrics_response

NO_INVENTORY = "no inventory: give one with --config.file (RUNBOOK_CONFIG_FILE)"


def build(settings: RemediatorSettings, inventory: Inventory | None) -> web.Application:
    """Return the application. It opens the ledger when it starts.

    Raises:
        UnusableConfiguration: a credential is missing or can not be read, or a setting can not work.
    """
    deliverers = _deliverers(settings)
    if inventory is None:
        return _waiting_for_an_inventory()
    _refuse_what_can_not_work(inventory)
    return application(_world(settings, inventory), deliverers)


def application(world: World, deliverers: Bearers) -> web.Application:
    """Everything that serves `world`; only `deliverers` may deliver alerts, or with none of them everybody."""
    app = web.Application(client_max_size=MAX_BYTES, middlewares=[errors_as_json])
    app[OWN_CREDENTIALS] = ("/webhook", "/api/")
    engine = Engine(world)
    _add_routes(app, world, engine, deliverers)
    app.cleanup_ctx.append(_working(world, engine))
    app[BEFORE_CLOSING] = _finishing(engine)
    app.on_shutdown.append(_halting(engine))
    return app


def _waiting_for_an_inventory() -> web.Application:
    app = web.Application()
    app[OWN_CREDENTIALS] = ("/webhook",)
    add_health_routes(app, lambda: NO_INVENTORY)
    app.router.add_post("/webhook", _without_inventory)
    return app


def _deliverers(settings: RemediatorSettings) -> Bearers:
    files = settings.webhook.token_file
    if not files and not settings.web.address.on_loopback:
        raise UnusableConfiguration(
            f"--web.listen-address {settings.web.address} is reachable from outside: --webhook.token-file is needed"
        )
    return _readable(Bearers({str(file): file for file in files}, "--webhook.token-file", basic=True))


def _readable(bearers: Bearers) -> Bearers:
    problems = bearers.check()
    if problems:
        raise UnusableConfiguration("\n".join(problems))
    return bearers


def _refuse_what_can_not_work(inventory: Inventory) -> None:
    problems = [f"{'.'.join(finding.path)}: {finding.reason}" for finding in wrong_remediations(inventory)]
    if problems:
        raise UnusableConfiguration("\n".join(problems))


def _world(settings: RemediatorSettings, inventory: Inventory) -> World:
    try:
        ledger = ledger_at(settings.ledger.url)
    except LedgerUnavailable as error:
        raise UnusableConfiguration(f"--ledger.url: {error}") from None
    alertmanager = AlertmanagerReader(inventory.alertmanager.url) if inventory.alertmanager else None
    return World(inventory, ledger, SystemClock(), REMEDIATIONS, alertmanager, settings.pause.file)


def _add_routes(app: web.Application, world: World, engine: Engine, deliverers: Bearers) -> None:
    files = {name: each.token_file for name, each in world.inventory.operators.items()}
    operators = _readable(Bearers(files, "operators.{}.token_file"))

    async def show_metrics(request: web.Request) -> web.Response:
        return await metrics_response(await metrics.collect(world, engine.trouble, engine.outage.reason), request)

    add_health_routes(app, lambda: STOPPING if engine.stop.is_set() else engine.trouble)
    app.router.add_post("/webhook", webhook(world.ledger, world.clock, deliverers, engine))
    app.router.add_get("/metrics", show_metrics)
    api = add_api_routes(app, world, operators, engine.wake)
    add_preview_routes(app, world, api.guarded)
    add_status_route(app, world, api.guarded, lambda: engine.trouble)


def _halting(engine: Engine) -> Callable[[web.Application], Awaitable[None]]:
    """No further effect begins while open requests are still being answered."""

    async def halt(_: web.Application) -> None:
        engine.halt()

    return halt


def _finishing(engine: Engine) -> Callable[[], Awaitable[None]]:
    """No further effect begins, and what is delivered until the current ones have ended is sent back with 503."""

    async def finish() -> None:
        engine.halt()
        await engine.idle()

    return finish


async def _without_inventory(_: web.Request) -> web.Response:
    return web.Response(status=503, text=f"{NO_INVENTORY}\n")


def _working(world: World, engine: Engine) -> Callable[[web.Application], AsyncIterator[None]]:
    """The ledger is open, and engine and sender work, while the application runs."""

    async def context(_: web.Application) -> AsyncIterator[None]:
        try:
            async with world.ledger.opened(), asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run(), name="engine")
                tasks.create_task(send_until(engine.stop, world), name="sender")
                yield
                engine.halt()
                await engine.idle()
        except LedgerUnavailable as error:
            raise UnusableConfiguration(f"--ledger.url: {error}") from None

    return context
