"""`/episodes/ID`: one episode with its alerts, all its runs, who has it in hand, and its incident report."""

from aiohttp import web

from remediator.console.alerts import alerts_of, worst_first
from remediator.console.pages.acknowledge import read_in_hand
from remediator.console.rendering import render
from remediator.console.routes import ConsoleRoutes
from remediator.console.times import zone_of
from remediator.console.visitor import Visitor
from remediator.ledger import acknowledgements, effects, episodes, runs
from remediator.model.errors import NoSuchEpisode
from remediator.server.episodes_api import parse_episode_id

MAX_RUNS = 100
MAX_ALERTS = 20


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the page."""
    context = routes.context

    async def show(request: web.Request, visitor: Visitor) -> web.Response:
        identifier = parse_episode_id(request)
        async with context.ledger.read() as connection:
            episode = await episodes.get_or_none(connection, identifier)
            if episode is None:
                raise NoSuchEpisode(f"there is no episode {identifier}; the runs name theirs")
            newest, total = await runs.newest_of_episode(connection, identifier, MAX_RUNS)
            items = await effects.count_items(connection, [each.id for each in newest])
            hand = (await read_in_hand(connection, [episode], context.clock.now()))[identifier]
            taken = await acknowledgements.of_episode(connection, identifier)
        zone = zone_of(context.inventory.stacks.get(episode.stack))
        return await render(
            request,
            visitor,
            "episode.html",
            command=f"runbookctl report --episode {identifier}",
            episode=episode,
            alerts=worst_first(alerts_of(episode)),
            max_alerts=MAX_ALERTS,
            runs=newest,
            total=total,
            items=items,
            hand=hand,
            taken=taken,
            zone=zone,
            zones={episode.stack: zone},
        )

    routes.get("/episodes/{id}", show)
