"""`/api/v1/status`: what a person wants to know first: does it work, may it act, and what waits for somebody."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import World
from remediator.ledger import audit, outbox, runs, switches
from remediator.server.operator_api import pauses_in_force, plain_row, run_json

Guarded = Callable[[Callable[[web.Request, str], Awaitable[web.Response]]], Any]


def add_status_route(app: web.Application, world: World, guarded: Guarded, trouble: Callable[[], str | None]) -> None:
    """Add the route; `trouble` says why nothing can be accepted or done now."""

    async def handle(_request: web.Request, _operator: str) -> web.Response:
        async with world.ledger.read() as connection:
            return web.json_response({"trouble": trouble(), **await _status(connection, world)})

    app.router.add_get("/api/v1/status", guarded(handle))


async def _status(connection: AsyncConnection, world: World) -> Mapping[str, Any]:
    return {
        "pauses": await pauses_in_force(connection, world),
        "breakers": [plain_row(each) for each in await switches.open_breakers(connection)],
        "runs": [run_json(each, ()) for each in await runs.unfinished(connection)],
        "messages_unsent": await outbox.waiting(connection),
        "audit_head": await audit.head(connection),
    }
