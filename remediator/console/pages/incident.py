"""`/episodes/ID/report`: the incident report as a Markdown file, to finish by hand."""

from aiohttp import hdrs, web

from remediator.console.routes import ConsoleRoutes
from remediator.console.visitor import Visitor
from remediator.server.episodes_api import parse_episode_id
from remediator.server.incident_api import report_of


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the file."""

    async def download(request: web.Request, _visitor: Visitor) -> web.Response:
        identifier = parse_episode_id(request)
        name = f'attachment; filename="incident-{identifier}.md"'
        text = await report_of(routes.context, identifier)
        return web.Response(
            text=text, content_type="text/markdown", charset="utf-8", headers={hdrs.CONTENT_DISPOSITION: name}
        )

    routes.get("/episodes/{id}/report", download)
