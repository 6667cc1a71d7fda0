"""`/api/v1/recurring`: the recurring problems, each with its evidence and its permanent fix."""

from typing import Any

from aiohttp import web

from remediator.context import Context
from remediator.model.clock import rfc3339
from remediator.reports.recurring import RecurringProblem, recurring_problems
from remediator.server.operator_api import OperatorGuard


def add_recurring_route(app: web.Application, context: Context, require_operator: OperatorGuard) -> None:
    """Add the route."""

    async def get_recurring(request: web.Request, _operator: str) -> web.Response:
        async with context.ledger.read() as connection:
            problems = await recurring_problems(connection, context, request.query.get("stack"))
        return web.json_response({"problems": [problem_json(each) for each in problems]})

    app.router.add_get("/api/v1/recurring", require_operator(get_recurring))


def problem_json(problem: RecurringProblem) -> dict[str, Any]:
    """Return a recurring problem as JSON."""
    return {
        "stack": problem.stack,
        "remediation": problem.remediation,
        "target": problem.target,
        "times": problem.times,
        "ordinal": problem.ordinal,
        "acted": problem.acted,
        "limit": problem.limit,
        "first_at": rfc3339(problem.first_at),
        "last_at": rfc3339(problem.last_at),
        "runs": list(problem.runs),
        "items": problem.items,
        "causes": [{"traits": dict(each.traits), "items": each.items} for each in problem.causes],
        "fix": {"advice": problem.fix.advice, "snippet": problem.fix.snippet, "language": problem.fix.language},
    }
