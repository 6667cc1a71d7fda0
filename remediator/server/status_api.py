"""`/api/v1/status`: whether the remediator works, whether it may act, and what waits for an operator."""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger import audit, outbox, runs, switches
from remediator.model.clock import rfc3339
from remediator.model.target import settings_for
from remediator.server.operator_api import OperatorGuard, pauses_in_force, row_json, run_json
from runbookd.inventory import Stack


def add_status_route(
    app: web.Application,
    context: Context,
    require_operator: OperatorGuard,
    fault: Callable[[], str | None],
    leads: Callable[[], bool],
) -> None:
    """Add the route; `fault` returns why nothing can be accepted or done now, or None."""

    async def handle(_request: web.Request, _operator: str) -> web.Response:
        async with context.ledger.read() as connection:
            own = {"trouble": fault(), "leads": leads(), "leader": await _leader(connection, context)}
            return web.json_response({**own, **await _status(connection, context)})

    app.router.add_get("/api/v1/status", require_operator(handle))


async def _leader(connection: AsyncConnection, context: Context) -> Mapping[str, Any] | None:
    leader = await context.ledger.leader(connection)
    return None if leader is None else {"name": leader.name, "since": rfc3339(leader.since)}


async def _status(connection: AsyncConnection, context: Context) -> Mapping[str, Any]:
    return {
        "stacks": {name: _modes(context, stack) for name, stack in context.inventory.stacks.items()},
        "only_read": [name for name, each in context.remediations.items() if each.reads_only],
        "pauses": await pauses_in_force(connection, context),
        "breakers": [row_json(each) for each in await switches.open_breakers(connection)],
        "runs": [run_json(each, ()) for each in await runs.unfinished(connection)],
        "messages_unsent": await outbox.count_unsent(connection),
        "audit_head": await audit.head(connection),
    }


def _modes(context: Context, stack: Stack) -> Mapping[str, str]:
    """Return the mode of each remediation that is configured, or whose kind of target the stack has."""
    kinds = {kind for kind in ("postgres", "queues", "backups") if getattr(stack, kind)} | {"stack"}
    return {
        name: settings_for(stack, remediation).mode
        for name, remediation in context.remediations.items()
        if remediation.kind in kinds or name in stack.remediations
    }
