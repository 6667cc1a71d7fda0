"""How many messages a contact gets, and the summary that reports those that wait."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, FromClause, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.outbox import (
    IS_UNSENT,
    MAY_WAIT,
    UNSENT_QUERY,
    Draft,
    Message,
    enqueue,
    has_older_unsent,
    is_summary,
    summary_key,
)
from remediator.ledger.schema import outbox

MAX_FOLDED = 1_000  # messages per summary


async def count_active(connection: AsyncConnection, contact: str, since: datetime, now: datetime) -> int:
    """Count the messages sent to `contact` since then, and those that are being sent or retried."""
    is_sent = and_(outbox.c.sent_at > since, outbox.c.sent_at <= now, outbox.c.summary.is_(None))
    is_tried = and_(IS_UNSENT, outbox.c.attempts > 0, outbox.c.refused_at.is_(None))
    conditions = outbox.c.contact == contact, or_(is_sent, is_tried), ~is_summary(outbox)
    rows = await connection.execute(select(func.count()).select_from(outbox).where(*conditions))
    return int(rows.scalar_one())


async def waiting(connection: AsyncConnection, contact: str, limit: int = MAX_FOLDED) -> Sequence[Message]:
    """Return up to `limit` untried messages to `contact` that are not urgent, oldest first."""
    conditions = outbox.c.contact == contact, MAY_WAIT, ~has_older_unsent(_is_tried)
    query = UNSENT_QUERY.where(*conditions).order_by(outbox.c.id).limit(limit)
    return [Message(*row) for row in await connection.execute(query)]


async def has_summary_since(connection: AsyncConnection, contact: str, since: datetime) -> bool:
    """Return whether a summary was made for `contact` since then, or is still unsent."""
    recent_or_unsent = or_(outbox.c.created_at > since, IS_UNSENT)
    conditions = outbox.c.contact == contact, is_summary(outbox), recent_or_unsent
    return (await connection.execute(select(outbox.c.id).where(*conditions).limit(1))).first() is not None


async def fold(connection: AsyncConnection, messages: Sequence[Message], draft: Draft, now: datetime) -> None:
    """Queue a summary instead of `messages`, which must be of one contact."""
    first, last = messages[0], messages[-1]
    key = summary_key(first.id, last.id)
    await enqueue(connection, first.episode, key, [first.contact], draft, now)
    query = select(outbox.c.id).where(outbox.c.key == key, outbox.c.contact == first.contact)
    summary = (await connection.execute(query)).scalar_one()
    folded = outbox.c.id.in_([message.id for message in messages])
    await connection.execute(update(outbox).where(folded).values(sent_at=now, summary=summary))


def _is_tried(table: FromClause) -> ColumnElement[bool]:
    return table.c.attempts > 0
