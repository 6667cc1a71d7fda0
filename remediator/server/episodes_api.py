"""`/api/v1/episodes`: the episodes with who has them in hand, and `…/ID/acknowledge`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.escalation.acknowledge import MAX_NOTE, MAX_SPAN, acknowledge, waiting_since
from remediator.ledger import acknowledgements, episode_list, episodes
from remediator.ledger.acknowledgements import Acknowledgement
from remediator.ledger.episodes import Episode
from remediator.model.clock import rfc3339
from remediator.model.errors import NoSuchEpisode, NoSuchRun
from remediator.server.operator_api import MAX_LIMIT, OperatorGuard, parse_number, parse_run_id
from remediator.server.request_body import read_body
from remediator.server.run_filter import check_run_filter
from runbookd.inventory import Duration

STATES = ("open", "ended")
log = structlog.get_logger(__name__)


class AcknowledgeRequest(BaseModel):
    """The body of `POST /api/v1/episodes/ID/acknowledge`."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, StringConstraints(max_length=MAX_NOTE)] = ""
    span: Duration | None = Field(default=None, alias="for")

    @field_validator("span")
    @classmethod
    def _within_a_month(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and not timedelta(0) < value <= MAX_SPAN:
            raise ValueError("must be between 1s and 31d; leave it out to wait for the next change")
        return value


def add_episode_routes(app: web.Application, context: Context, require_operator: OperatorGuard) -> None:
    """Add the routes."""

    async def get_episodes(request: web.Request, _operator: str) -> web.Response:
        query, state = request.query, request.query.get("state")
        if state is not None and state not in STATES:
            raise web.HTTPBadRequest(text=f"state must be one of {', '.join(STATES)}\n")
        async with context.ledger.read() as connection:
            await check_run_filter(connection, context, stack=query.get("stack"))
            page = await episode_list.list_episodes(
                connection,
                stack=query.get("stack"),
                is_open=None if state is None else state == "open",
                limit=parse_number(query, "limit", 100, MAX_LIMIT),
                before=parse_number(query, "before", None, None),
            )
            found = await episodes_json(connection, context, page.episodes)
        return web.json_response({"episodes": found, "next": page.next})

    async def get_episode(request: web.Request, _operator: str) -> web.Response:
        async with context.ledger.read() as connection:
            episode = await episodes.get_or_none(connection, parse_episode_id(request))
            if episode is None:
                raise NoSuchEpisode(f"there is no episode {request.match_info['id']}")
            [found] = await episodes_json(connection, context, [episode])
        return web.json_response(found)

    async def post_acknowledge(request: web.Request, operator: str) -> web.Response:
        identifier = parse_episode_id(request)
        body = await read_body(request, AcknowledgeRequest) if request.can_read_body else AcknowledgeRequest()
        current = await acknowledge(context, identifier, operator, body.note, body.span)
        return web.json_response(acknowledgement_json(current))

    app.router.add_get("/api/v1/episodes", require_operator(get_episodes))
    app.router.add_get("/api/v1/episodes/{id}", require_operator(get_episode))
    app.router.add_post("/api/v1/episodes/{id}/acknowledge", require_operator(post_acknowledge))


async def episodes_json(
    connection: AsyncConnection, context: Context, found: Sequence[Episode]
) -> Sequence[Mapping[str, Any]]:
    """Return episodes as JSON, each with the acknowledgement in force."""
    latest = await acknowledgements.latest_of(connection, [each.id for each in found])
    now = context.clock.now()
    return [_episode_json(each, latest.get(each.id), now) for each in found]


def _episode_json(episode: Episode, latest: Acknowledgement | None, now: datetime) -> Mapping[str, Any]:
    holds = latest is not None and latest.why_over(episode, now) is None
    waits = episode.ended_at is None and episode.has_alerts and not holds
    return {
        "id": episode.id,
        "stack": episode.stack,
        "remediation": episode.remediation,
        "target": episode.target,
        "priority": episode.priority,
        "alerts": episode.alert_names,
        "firing_since": rfc3339(episode.firing_since),
        "opened_at": rfc3339(episode.opened_at),
        "confirmed_at": rfc3339(episode.confirmed_at),
        "ended_at": rfc3339(episode.ended_at),
        "end_reason": episode.end_reason,
        "acknowledged": acknowledgement_json(latest) if latest is not None and holds else None,
        "waiting_since": rfc3339(waiting_since(episode, latest, now)) if waits else None,
    }


def acknowledgement_json(current: Acknowledgement) -> dict[str, Any]:
    """Return an acknowledgement as JSON."""
    return {
        "episode": current.episode,
        "by": current.operator,
        "at": rfc3339(current.at),
        "note": current.note,
        "until": rfc3339(current.until),
    }


def parse_episode_id(request: web.Request) -> int:
    """Return the number of the episode in the path.

    Raises:
        NoSuchEpisode: it is not a number.
    """
    try:
        return parse_run_id(request)
    except NoSuchRun:
        raise NoSuchEpisode("there is no such episode; give a number") from None
