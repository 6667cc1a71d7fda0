"""Whether a target that a service requires answers, so that a restart of the service can help."""

import asyncio

from remediator.clients.http_probe import probe
from remediator.clients.postgres import connect
from remediator.clients.redis import ping
from remediator.clients.services import manager_of
from remediator.clients.services.manager import Status
from remediator.model.errors import RemediatorError
from remediator.model.remediation import Scope

SECONDS = 8.0


async def missing_requirement(scope: Scope, required: str) -> str | None:
    """Return why the target `required` (kind/name) of the same stack is down or unreadable, or None."""
    kind, _, name = required.partition("/")
    try:
        async with asyncio.timeout(SECONDS):
            problem = await _problem(scope, kind, name)
    except RemediatorError as error:
        return f"{required} is down: {error}"
    except TimeoutError:
        return f"{required} is down: no answer within {SECONDS:g} s"
    return None if problem is None else f"{required} is down: {problem}"


async def _problem(scope: Scope, kind: str, name: str) -> str | None:
    stack = scope.stack
    match kind:
        case "http":
            return await probe(stack.http[name])
        case "services":
            state = await manager_of(scope.target.stack, stack, name).read()
            return None if state.status is Status.RUNNING else f"the service is {state.status}"
        case "redis":
            return await ping(stack, name)
    postgres = stack.postgres[name]
    secret = postgres.admin_dsn_secret() if postgres.admin_dsn_secret().configured else postgres.dsn_secret()
    async with connect(scope.at("postgres", name), secret):
        return None
