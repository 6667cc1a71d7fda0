"""Pages of episodes, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.episodes import Episode
from remediator.ledger.schema import episode


@dataclass(frozen=True)
class EpisodePage:
    """A page of episodes; `next` is the `before` of the next page, or None at the end."""

    episodes: Sequence[Episode]
    next: int | None


async def list_episodes(
    connection: AsyncConnection,
    *,
    limit: int,
    stack: str | None = None,
    is_open: bool | None = None,
    before: int | None = None,
) -> EpisodePage:
    """Return at most `limit` episodes older than the episode `before`."""
    query = select(episode).order_by(episode.c.id.desc()).limit(limit + 1)
    if stack is not None:
        query = query.where(episode.c.stack == stack)
    if is_open is not None:
        query = query.where(episode.c.ended_at.is_(None) if is_open else episode.c.ended_at.is_not(None))
    if before is not None:
        query = query.where(episode.c.id < before)
    found = [Episode(**row._mapping) for row in await connection.execute(query)]
    return EpisodePage(found[:limit], found[limit - 1].id if len(found) > limit else None)
