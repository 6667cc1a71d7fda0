"""`POST /episodes/ID/acknowledge`: an operator has an episode in hand; the form is on three pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.console.refused_act import refused_act
from remediator.console.routes import ConsoleRoutes
from remediator.console.visitor import Visitor
from remediator.escalation.acknowledge import MAX_SPAN, acknowledge, waiting_since
from remediator.ledger import acknowledgements
from remediator.ledger.acknowledgements import Acknowledgement
from remediator.ledger.episodes import Episode
from remediator.model.errors import WrongState
from remediator.server.episodes_api import parse_episode_id
from runbookd.inventory import parse_duration


@dataclass(frozen=True)
class InHand:
    """Who has an episode in hand, or since when it waits for an operator; neither once it is over."""

    current: Acknowledgement | None
    waiting_since: datetime | None


@dataclass(frozen=True)
class Unacknowledged:
    """The alerts that nobody has in hand, and since when the first of them waits for an operator."""

    alerts: int
    since: datetime


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the act."""
    context = routes.context

    async def post(request: web.Request, visitor: Visitor) -> web.StreamResponse:
        identifier, form = parse_episode_id(request), await request.post()
        note, back = str(form.get("note", "")).strip(), str(form.get("back", ""))
        try:
            span, seen_at = _parse_span(str(form.get("for", ""))), _parse_moment(str(form.get("seen_at", "")))
            await acknowledge(context, identifier, visitor.operator, note, span, seen_at)
        except WrongState as error:
            return await refused_act(request, visitor, error, "It is not yours now", typed=note)
        raise web.HTTPSeeOther(back if back.startswith(("/stacks/", "/runs/", "/episodes/")) else "/")

    routes.post("/episodes/{id}/acknowledge", post)


def _parse_moment(text: str) -> datetime:
    """Return when the page was made: it does not show an alert that joined since.

    Raises:
        HTTPBadRequest: it is no moment.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise web.HTTPBadRequest(text="seen_at: the form names no moment; load the page again") from None


async def read_in_hand(connection: AsyncConnection, found: Sequence[Episode], now: datetime) -> Mapping[int, InHand]:
    """Return the state of each of these episodes."""
    latest = await acknowledgements.latest_of(connection, [each.id for each in found])
    return {each.id: _in_hand(each, latest.get(each.id), now) for each in found}


def unacknowledged(found: Sequence[Episode], hands: Mapping[int, InHand]) -> Unacknowledged | None:
    """Return what waits for an operator among these episodes, or None."""
    waiting = {each.id: since for each in found if (since := hands[each.id].waiting_since) is not None}
    if not waiting:
        return None
    return Unacknowledged(sum(len(each.alerts) for each in found if each.id in waiting), min(waiting.values()))


def _in_hand(episode: Episode, latest: Acknowledgement | None, now: datetime) -> InHand:
    if latest is not None and latest.why_over(episode, now) is None:
        return InHand(latest, None)
    waits = episode.ended_at is None and episode.has_alerts
    return InHand(None, waiting_since(episode, latest, now) if waits else None)


def _parse_span(text: str) -> timedelta | None:
    """Return how long it holds; None until the episode changes.

    Raises:
        HTTPBadRequest: it is no duration, or longer than the limit.
    """
    if not text:
        return None
    try:
        span = parse_duration(text)
    except ValueError:
        span = timedelta(0)
    if not timedelta(0) < span <= MAX_SPAN:
        raise web.HTTPBadRequest(text=f"for: {text[:50]!r} is no duration from 1s to 31d, such as 30m or 4h")
    return span
