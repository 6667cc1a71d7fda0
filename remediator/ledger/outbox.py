"""Messages to contacts, queued once per key and contact, and sent at least once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import LedgerRow, episode, outbox
from remediator.model.episode_key import EpisodeKey

MAX_WAIT = timedelta(minutes=5)
# A claimed message is not sent again for this long; after a crash it is resent then.
IN_FLIGHT = timedelta(minutes=1)
_STEP, _END = "step", "ended"
_MESSAGE_QUERY = select(outbox.c.episode, outbox.c.key, outbox.c.contact, outbox.c.created_at)


@dataclass(frozen=True)
class Message:
    """An unsent message to one contact; `attempts` counts the earlier ones."""

    id: int
    episode: int
    key: str
    contact: str
    title: str
    body: str
    attempts: int


@dataclass(frozen=True)
class Notifications:
    """The messages queued about an episode: since when, their keys and contacts."""

    episode: int
    since: datetime
    keys: frozenset[str]
    contacts: frozenset[str]


def step_key(episode_id: int, step: str) -> str:
    """Return the key of the message of an escalation step."""
    return f"{episode_id}/{_STEP}/{step}"


def end_key(episode_id: int) -> str:
    """Return the key of the message that the episode has ended."""
    return f"{episode_id}/{_END}"


async def enqueue(
    connection: AsyncConnection,
    episode_id: int,
    key: str,
    contacts: Iterable[str],
    title: str,
    body: str,
    now: datetime,
) -> None:
    """Queue one message to each contact, unless this key has been queued for them before."""
    for contact in contacts:
        existing = await connection.execute(select(outbox.c.id).where(outbox.c.key == key, outbox.c.contact == contact))
        if existing.first() is None:
            row = {"episode": episode_id, "key": key, "contact": contact, "title": title, "body": body}
            await connection.execute(insert(outbox).values(**row, created_at=now, next_attempt_at=now))


async def notifications_of(connection: AsyncConnection, episode_id: int) -> Notifications | None:
    """Return the messages queued about one episode, or None."""
    rows = await connection.execute(_MESSAGE_QUERY.where(outbox.c.episode == episode_id))
    message_rows = rows.all()
    return _notifications(episode_id, message_rows) if message_rows else None


@dataclass(frozen=True)
class NotifiedEpisode:
    """An open episode with at least one message."""

    key: EpisodeKey
    confirmed_at: datetime
    firing_since: datetime
    notifications: Notifications


async def notified_open_episodes(connection: AsyncConnection) -> Sequence[NotifiedEpisode]:
    """Return every open episode with at least one message."""
    episode_columns = [episode.c[name] for name in ("stack", "remediation", "target", "confirmed_at", "firing_since")]
    query = _MESSAGE_QUERY.add_columns(*episode_columns).join(episode, episode.c.id == outbox.c.episode)
    by_episode: dict[int, list[LedgerRow]] = {}
    for row in await connection.execute(query.where(episode.c.ended_at.is_(None))):
        by_episode.setdefault(row.episode, []).append(row)
    return [_notified_episode(identifier, rows) for identifier, rows in by_episode.items()]


def _notified_episode(identifier: int, rows: Sequence[LedgerRow]) -> NotifiedEpisode:
    first_row = rows[0]
    key = EpisodeKey(first_row.stack, first_row.remediation, first_row.target)
    return NotifiedEpisode(key, first_row.confirmed_at, first_row.firing_since, _notifications(identifier, rows))


def _notifications(identifier: int, rows: Sequence[LedgerRow]) -> Notifications:
    return Notifications(
        identifier,
        min(row.created_at for row in rows),
        frozenset(row.key for row in rows),
        frozenset(row.contact for row in rows),
    )


async def drop_unsent_steps(connection: AsyncConnection, episode_id: int) -> None:
    """Delete step messages without an attempt: an ended episode is not escalated."""
    await connection.execute(
        delete(outbox).where(outbox.c.episode == episode_id, outbox.c.key.like(f"%/{_STEP}/%"), outbox.c.attempts == 0)
    )


async def due(connection: AsyncConnection, now: datetime) -> Sequence[Message]:
    """Return the due messages, oldest first.

    None overtakes an older one of its episode and contact.

    A retry more than MAX_WAIT ahead means that the clock was set back, so it is due.
    """
    is_due = or_(outbox.c.next_attempt_at <= now, outbox.c.next_attempt_at > now + MAX_WAIT)
    older = outbox.alias()
    has_older_unsent = exists().where(
        older.c.episode == outbox.c.episode,
        older.c.contact == outbox.c.contact,
        older.c.sent_at.is_(None),
        older.c.id < outbox.c.id,
    )
    query = select(*(outbox.c[each.name] for each in fields(Message)))
    conditions = outbox.c.sent_at.is_(None), is_due, ~has_older_unsent
    rows = await connection.execute(query.where(*conditions).order_by(outbox.c.id).limit(20))
    return [Message(*row) for row in rows]


async def claim(connection: AsyncConnection, message: Message, now: datetime) -> bool:
    """Claim `message` for sending; return False if another sender was first."""
    result = await connection.execute(
        update(outbox)
        .where(outbox.c.id == message.id, outbox.c.attempts == message.attempts, outbox.c.sent_at.is_(None))
        .values(attempts=message.attempts + 1, next_attempt_at=now + IN_FLIGHT)
    )
    return result.rowcount == 1


async def mark_sent(connection: AsyncConnection, identifier: int, now: datetime) -> None:
    """Mark the message as sent."""
    await connection.execute(update(outbox).where(outbox.c.id == identifier).values(sent_at=now))


async def drop(connection: AsyncConnection, identifier: int) -> None:
    """Delete the message."""
    await connection.execute(delete(outbox).where(outbox.c.id == identifier))


async def schedule_retry(connection: AsyncConnection, identifier: int, attempts: int, now: datetime) -> None:
    """Schedule a retry after 1, 2, 4 … seconds, at most MAX_WAIT."""
    wait = min(timedelta(seconds=2 ** min(attempts, 10)), MAX_WAIT)
    await connection.execute(update(outbox).where(outbox.c.id == identifier).values(next_attempt_at=now + wait))


async def count_unsent(connection: AsyncConnection) -> int:
    """Count the messages that have not reached their contact yet."""
    rows = await connection.execute(select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None)))
    return int(rows.scalar_one())
