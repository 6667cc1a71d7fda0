"""`/api/v1/episodes/ID/report`: the incident report of an episode, in Markdown."""

from aiohttp import web

from remediator.context import Context
from remediator.reports.incident import read_incident
from remediator.reports.incident_markdown import incident_markdown
from remediator.server.episodes_api import parse_episode_id
from remediator.server.operator_api import OperatorGuard


def add_incident_routes(app: web.Application, context: Context, require_operator: OperatorGuard) -> None:
    """Add the route."""

    async def get_report(request: web.Request, _operator: str) -> web.Response:
        identifier = parse_episode_id(request)
        return web.json_response({"episode": identifier, "markdown": await report_of(context, identifier)})

    app.router.add_get("/api/v1/episodes/{id}/report", require_operator(get_report))


async def report_of(context: Context, identifier: int) -> str:
    """Return the report of one episode.

    Raises:
        NoSuchEpisode: there is none with this number.
    """
    async with context.ledger.read() as connection:
        return incident_markdown(await read_incident(connection, context, identifier))
