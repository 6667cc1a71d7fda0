"""Facts of the ledger around an episode: other episodes, messages, pauses and deploys of its stack."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.deploys import Deploy
from remediator.ledger.episodes import Episode
from remediator.ledger.schema import deploy, episode, outbox, pause
from remediator.ledger.switches import ActivePause

MAX_EPISODES = 50
MAX_MESSAGES = 200
MAX_OTHERS = 50


@dataclass(frozen=True)
class SentMessage:
    """A message that a contact got."""

    contact: str
    title: str
    sent_at: datetime


async def overlapping(connection: AsyncConnection, current: Episode, until: datetime) -> Sequence[Episode]:
    """Return the other episodes of the stack that were open at some time until `until`, oldest first."""
    query = select(episode).where(
        episode.c.stack == current.stack,
        episode.c.id != current.id,
        episode.c.opened_at <= until,
        or_(episode.c.ended_at.is_(None), episode.c.ended_at >= current.opened_at),
    )
    rows = await connection.execute(query.order_by(episode.c.id).limit(MAX_EPISODES))
    return [Episode(**row._mapping) for row in rows]


async def sent_messages(connection: AsyncConnection, episodes: Collection[int]) -> Sequence[SentMessage]:
    """Return the messages about these episodes that were sent, oldest first."""
    columns = outbox.c.contact, outbox.c.title, outbox.c.sent_at
    query = select(*columns).where(outbox.c.episode.in_(episodes), outbox.c.sent_at.is_not(None))
    rows = await connection.execute(query.order_by(outbox.c.id).limit(MAX_MESSAGES))
    return [SentMessage(*row) for row in rows]


async def pauses_between(
    connection: AsyncConnection, stack: str, since: datetime, until: datetime
) -> Sequence[ActivePause]:
    """Return the pauses of the stack, or of all stacks, that were in force at some time, oldest first."""
    query = select(pause).where(
        or_(pause.c.stack.is_(None), pause.c.stack == stack),
        pause.c.begun_at <= until,
        or_(pause.c.ended_at.is_(None), pause.c.ended_at >= since),
        or_(pause.c.until.is_(None), pause.c.until >= since),
    )
    rows = await connection.execute(query.order_by(pause.c.id.desc()).limit(MAX_OTHERS))
    return [ActivePause(**row._mapping) for row in reversed(rows.all())]


async def deploys_between(
    connection: AsyncConnection, stack: str, since: datetime, until: datetime
) -> Sequence[Deploy]:
    """Return the deploys of the stack that began in this time, oldest first."""
    query = select(deploy).where(deploy.c.stack == stack, deploy.c.begun_at >= since, deploy.c.begun_at <= until)
    rows = await connection.execute(query.order_by(deploy.c.id.desc()).limit(MAX_OTHERS))
    return [Deploy(**row._mapping) for row in reversed(rows.all())]
