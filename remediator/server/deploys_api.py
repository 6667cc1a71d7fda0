"""`/api/v1/deploys`: a release tool reports when a deploy begins and ends."""

from typing import Annotated, Literal

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, StringConstraints

from remediator.context import Context
from remediator.ledger import deploys
from remediator.model.known_stacks import unknown_stack
from remediator.server.operator_api import OperatorGuard
from remediator.server.request_body import read_body
from runbookd.inventory import Role

log = structlog.get_logger(__name__)

Version = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._@:+-]{0,99})?$")]


class DeployReport(BaseModel):
    """The body of `POST /api/v1/deploys`."""

    model_config = ConfigDict(extra="forbid")

    stack: str
    version: Version = ""
    state: Literal["started", "done"] = "started"


def add_deploy_routes(app: web.Application, context: Context, require_operator: OperatorGuard) -> None:
    """Add the route."""

    async def report(request: web.Request, operator: str) -> web.Response:
        return web.json_response(await _record(context, await read_body(request, DeployReport), operator))

    app.router.add_post("/api/v1/deploys", require_operator(report, Role.REPORTER))


async def _record(context: Context, report: DeployReport, operator: str) -> dict[str, str]:
    if report.stack not in context.inventory.stacks:
        raise web.HTTPBadRequest(text=f"{unknown_stack(report.stack, context.inventory.stacks)}\n")
    record = deploys.begin if report.state == "started" else deploys.end
    async with context.ledger.write() as connection:
        context.require_operator(operator, Role.REPORTER)
        await record(connection, context.clock.now(), operator, report.stack, report.version)
    log.info("deploy reported", operator=operator, stack=report.stack, version=report.version, state=report.state)
    return report.model_dump()
