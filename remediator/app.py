"""Assembles the application: the ledger, what leads, and the routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

from aiohttp import hdrs, web

from remediator.clients.alertmanager import AlertmanagerReader
from remediator.config_check import remediation_findings
from remediator.console.console import add_console_routes
from remediator.console.paths import CONSOLE_PATHS
from remediator.console.sign_in.routes import add_sign_in_routes
from remediator.context import Context
from remediator.leadership import Leadership
from remediator.ledger.address import clock_of
from remediator.ledger_flags import configured_ledger
from remediator.ledger_placement import placement_problems
from remediator.missing_parts import missing_flags, missing_sections
from remediator.model.delivery import MAX_BYTES
from remediator.model.errors import LedgerUnavailable
from remediator.reload import NO_INVENTORY, InventorySwap, load_usable_inventory, reload_families, token_files
from remediator.remediations import REMEDIATIONS
from remediator.server import metrics
from remediator.server.bearer_tokens import BearerTokens
from remediator.server.calendar_api import add_calendar_routes
from remediator.server.contacts_api import add_contact_routes
from remediator.server.deploys_api import add_deploy_routes
from remediator.server.episodes_api import add_episode_routes
from remediator.server.incident_api import add_incident_routes
from remediator.server.json_errors import errors_as_json
from remediator.server.operator_api import Api, add_api_routes
from remediator.server.preview_api import add_preview_routes
from remediator.server.questions_api import add_question_routes
from remediator.server.recurring_api import add_recurring_route
from remediator.server.report_api import add_report_route
from remediator.server.status_api import add_status_route
from remediator.server.webhook import webhook
from remediator.settings import RemediatorSettings
from remediator.shutdown import SHUTDOWN
from runbookd.inventory import Inventory
from runbookd.service import (
    BEFORE_CLOSING,
    OWN_CREDENTIALS,
    InventoryReload,
    UnusableConfiguration,
    add_health_routes,
    add_reload_route,
    metrics_response,
)
from runbookd.service.missing import MISSING_PARTS, MissingPart

LOOPBACK = "loopback"  # who reloads without a token, from this machine


def build(settings: RemediatorSettings, inventory: Inventory | None) -> web.Application:
    """Return the application. It opens the ledger when it starts.

    Raises:
        UnusableConfiguration: a credential is missing or cannot be read, or a setting cannot work.
    """
    webhook_tokens = _webhook_tokens(settings)
    if inventory is None:
        return _application_without_inventory()
    _reject_invalid_remediations(inventory)
    context = _create_context(settings, inventory)
    app = create_application(
        context, webhook_tokens, settings.config.file, is_public=not settings.web.address.on_loopback
    )
    app[MISSING_PARTS] = (*missing_flags(settings), *missing_sections(inventory))
    return app


def create_application(
    context: Context, webhook_tokens: BearerTokens, config_file: Path | None = None, *, is_public: bool = False
) -> web.Application:
    """Return the application for `context`; without `webhook_tokens`, anyone may deliver.

    If other machines reach it (`is_public`), a reload needs a token, and the console TLS or a trusted proxy.
    """
    app = web.Application(client_max_size=MAX_BYTES, middlewares=[errors_as_json])
    app[OWN_CREDENTIALS] = ("/webhook", "/api/", *CONSOLE_PATHS, *(("/-/reload",) if is_public else ()))
    leadership = Leadership(context)
    tokens = _require_readable(BearerTokens(token_files(context.inventory), "operators.{}.token_file"))
    swap = InventorySwap(context, tokens, leadership.wake)
    reload = InventoryReload(partial(load_usable_inventory, config_file), swap.apply)
    _add_routes(app, context, leadership, webhook_tokens, reload)
    api = _add_operator_routes(app, context, leadership, tokens)
    guard = add_sign_in_routes(app, context, is_public=is_public)
    add_console_routes(app, context, guard, leadership.wake, lambda: leadership.fault)
    add_reload_route(app, reload, _reload_guard(api, is_public))
    app.cleanup_ctx.append(_lifespan_hook(context, leadership))
    app[BEFORE_CLOSING] = _closing_hook(leadership)
    app.on_shutdown.append(_shutdown_hook(leadership))
    return app


def _application_without_inventory() -> web.Application:
    app = web.Application()
    app[OWN_CREDENTIALS] = ("/webhook",)
    app[MISSING_PARTS] = (MissingPart("an inventory", "no alert is accepted; give one with --config.file"),)
    # Without a file there is nothing to read again, but SIGHUP must not end the process.
    add_reload_route(app, InventoryReload(partial(load_usable_inventory, None), _apply_nothing))
    add_health_routes(app, lambda: NO_INVENTORY)
    app.router.add_post("/webhook", _refuse_without_inventory)
    return app


def _webhook_tokens(settings: RemediatorSettings) -> BearerTokens:
    files = settings.webhook.token_file
    if not files and not settings.web.address.on_loopback:
        raise UnusableConfiguration(
            f"--web.listen-address {settings.web.address} is reachable from outside: set --webhook.token-file"
        )
    return _require_readable(BearerTokens({str(file): file for file in files}, "--webhook.token-file", basic=True))


def _require_readable(tokens: BearerTokens) -> BearerTokens:
    problems = tokens.check()
    if problems:
        raise UnusableConfiguration("\n".join(problems))
    return tokens


def _reject_invalid_remediations(inventory: Inventory) -> None:
    problems = [f"{'.'.join(finding.path)}: {finding.reason}" for finding in remediation_findings(inventory)]
    if problems:
        raise UnusableConfiguration("\n".join(problems))


def _create_context(settings: RemediatorSettings, inventory: Inventory) -> Context:
    ledger = configured_ledger(settings.ledger)
    alertmanager = AlertmanagerReader(inventory.alertmanager.url_secret()) if inventory.alertmanager else None
    return Context(inventory, ledger, clock_of(ledger), REMEDIATIONS, alertmanager, settings.pause.file)


async def _apply_nothing(_inventory: Inventory, _actor: str) -> str:
    return ""


def _add_routes(
    app: web.Application,
    context: Context,
    leadership: Leadership,
    webhook_tokens: BearerTokens,
    reload: InventoryReload[Inventory],
) -> None:
    async def show_metrics(request: web.Request) -> web.Response:
        leads = leadership.leads
        own = [*reload_families(reload), *(leadership.services.families() if leads else ())]
        families = await metrics.collect(context, leadership.fault, leadership.gate.failure, own, leads=leads)
        return await metrics_response(lambda format: format.encode([families]), request)

    add_health_routes(app, lambda: SHUTDOWN if leadership.shutdown.is_set() else leadership.fault)
    app.router.add_post("/webhook", webhook(context.ledger, context.clock, webhook_tokens, leadership.gate))
    app.router.add_get("/metrics", show_metrics)


def _add_operator_routes(app: web.Application, context: Context, leadership: Leadership, tokens: BearerTokens) -> Api:
    api = add_api_routes(app, context, tokens, leadership.wake)
    add_preview_routes(app, context, api.require_operator)
    add_contact_routes(app, context, api.require_operator)
    add_deploy_routes(app, context, api.require_operator)
    add_question_routes(app, context, api.require_operator, leadership.wake)
    add_episode_routes(app, context, api.require_operator)
    add_calendar_routes(app, context, api.require_operator)
    add_incident_routes(app, context, api.require_operator)
    add_report_route(app, context, api.require_operator)
    add_recurring_route(app, context, api.require_operator)
    add_status_route(app, context, api.require_operator, lambda: leadership.fault, lambda: leadership.leads)
    return api


def _reload_guard(api: Api, needs_token: bool) -> Callable[[web.Request], str]:
    """Return the check of who reloads: an operator, or without a token anyone on this machine."""

    def name_of_sender(request: web.Request) -> str:
        sends_token = request.headers.get(hdrs.AUTHORIZATION, "").lower().startswith("bearer ")
        return api.authenticate(request) if needs_token or sends_token else LOOPBACK

    return name_of_sender


def _shutdown_hook(leadership: Leadership) -> Callable[[web.Application], Awaitable[None]]:
    """Return a hook that begins no further effect while open requests are still answered."""

    async def request_shutdown(_: web.Application) -> None:
        leadership.request_shutdown()

    return request_shutdown


def _closing_hook(leadership: Leadership) -> Callable[[], Awaitable[None]]:
    """Return a hook that ends after the current effects; until then, deliveries get a 503."""

    async def finish_effects() -> None:
        leadership.request_shutdown()
        await leadership.wait_for_effects()

    return finish_effects


async def _refuse_without_inventory(_: web.Request) -> web.Response:
    return web.Response(status=503, text=f"{NO_INVENTORY}\n")


def _lifespan_hook(context: Context, leadership: Leadership) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a hook that keeps the ledger open, and leads or waits for it, while the application runs."""

    async def lifespan(_: web.Application) -> AsyncIterator[None]:
        try:
            async with context.ledger.open():
                await _require_own_server(context)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(leadership.run(), name="leadership")
                    await leadership.begun.wait()
                    yield
                    leadership.request_shutdown()
        except LedgerUnavailable as error:
            raise UnusableConfiguration(f"--ledger.url: {error}") from None

    return lifespan


async def _require_own_server(context: Context) -> None:
    if problems := await placement_problems(context.ledger, context.inventory):
        raise UnusableConfiguration("\n".join(problems))
