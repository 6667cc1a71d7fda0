"""Messages to people: written with what they are about, sent at least once, queued once for each key and contact."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import LedgerRow, episode, outbox
from remediator.model.episode_key import EpisodeKey

MAX_WAIT = timedelta(minutes=5)
# While a message is on its way nobody sends it again; after a crash it goes out once more when this is over.
IN_FLIGHT = timedelta(minutes=1)
_STEP, _END = "step", "ended"
_MESSAGE_QUERY = select(outbox.c.episode, outbox.c.key, outbox.c.contact, outbox.c.created_at)


@dataclass(frozen=True)
class Message:
    """A message to one contact that is not sent yet; `attempts` were made before this one."""

    id: int
    episode: int
    key: str
    contact: str
    title: str
    body: str
    attempts: int


@dataclass(frozen=True)
class Notifications:
    """What people have been told of an open episode: since when, and by which keys."""

    episode: int
    since: datetime
    keys: frozenset[str]
    contacts: frozenset[str]


def step_key(episode_id: int, step: str) -> str:
    return f"{episode_id}/{_STEP}/{step}"


def end_key(episode_id: int) -> str:
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
    """What people have been told of one episode, or None if nothing."""
    rows = await connection.execute(_MESSAGE_QUERY.where(outbox.c.episode == episode_id))
    message_rows = rows.all()
    return _notifications(episode_id, message_rows) if message_rows else None


@dataclass(frozen=True)
class NotifiedEpisode:
    """An open episode that people have been told of."""

    key: EpisodeKey
    confirmed_at: datetime
    firing_since: datetime
    notifications: Notifications


async def notified_open_episodes(connection: AsyncConnection) -> Sequence[NotifiedEpisode]:
    """Every open episode that people have been told of."""
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
    """Forget steps whose message nobody has begun to send: whoever has heard nothing needs to hear nothing now."""
    await connection.execute(
        delete(outbox).where(outbox.c.episode == episode_id, outbox.c.key.like(f"%/{_STEP}/%"), outbox.c.attempts == 0)
    )


async def due(connection: AsyncConnection, now: datetime) -> Sequence[Message]:
    """Messages that are to be tried now, oldest first. None overtakes an older one of its episode and contact.

    Nothing is ever put off for longer than MAX_WAIT: what seems to be was, before the clock was set back.
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
    """Say that `message` is being sent; whether it still was to be sent."""
    result = await connection.execute(
        update(outbox)
        .where(outbox.c.id == message.id, outbox.c.attempts == message.attempts, outbox.c.sent_at.is_(None))
        .values(attempts=message.attempts + 1, next_attempt_at=now + IN_FLIGHT)
    )
    return result.rowcount == 1


async def mark_sent(connection: AsyncConnection, identifier: int, now: datetime) -> None:
    await connection.execute(update(outbox).where(outbox.c.id == identifier).values(sent_at=now))


async def drop(connection: AsyncConnection, identifier: int) -> None:
    await connection.execute(delete(outbox).where(outbox.c.id == identifier))


async def schedule_retry(connection: AsyncConnection, identifier: int, attempts: int, now: datetime) -> None:
    """Try again later: 1, 2, 4 … seconds after the first, second, third attempt, at most MAX_WAIT."""
    wait = min(timedelta(seconds=2 ** min(attempts, 10)), MAX_WAIT)
    await connection.execute(update(outbox).where(outbox.c.id == identifier).values(next_attempt_at=now + wait))


async def count_unsent(connection: AsyncConnection) -> int:
    """How many messages have not reached their contact yet."""
    rows = await connection.execute(select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None)))
    return int(rows.scalar_one())
