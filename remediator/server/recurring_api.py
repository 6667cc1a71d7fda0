"""`/api/v1/recurring`: the recurring problems, each with its evidence and its permanent fix."""

from aiohttp import web

from remediator.context import Context
from remediator.model.known_stacks import require_stack
from remediator.reports.recurring import recurring_problems
from remediator.reports.recurring_json import problem_json
from remediator.server.operator_api import OperatorGuard

MAX_PROBLEMS = 100  # the most frequent ones; each is looked into


def add_recurring_route(app: web.Application, context: Context, require_operator: OperatorGuard) -> None:
    """Add the route."""

    async def get_recurring(request: web.Request, _operator: str) -> web.Response:
        stack = request.query.get("stack")
        require_stack(context.inventory, stack)
        async with context.ledger.read() as connection:
            problems = await recurring_problems(connection, context, stack, most=MAX_PROBLEMS)
        return web.json_response({"problems": [problem_json(each) for each in problems]})

    app.router.add_get("/api/v1/recurring", require_operator(get_recurring))
