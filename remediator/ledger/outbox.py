"""Messages to people: written with what they are about, sent at least once, queued once for each key and contact."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import episode, outbox
from remediator.model.episode_key import Key

MAX_WAIT = timedelta(minutes=5)
# While a message is on its way nobody sends it again; after a crash it goes out once more when this is over.
IN_FLIGHT = timedelta(minutes=1)
_STEP, _END = "step", "ended"
_HEADS = select(outbox.c.episode, outbox.c.key, outbox.c.contact, outbox.c.created_at)


@dataclass(frozen=True)
class Told:
    """What people have been told of an open episode: since when, and by which keys."""

    episode: int
    since: datetime
    keys: frozenset[str]
    contacts: frozenset[str]


def step_key(episode_id: int, step: str) -> str:
    return f"{episode_id}/{_STEP}/{step}"


def end_key(episode_id: int) -> str:
    return f"{episode_id}/{_END}"


async def put(
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
        known = await connection.execute(select(outbox.c.id).where(outbox.c.key == key, outbox.c.contact == contact))
        if known.first() is None:
            row = {"episode": episode_id, "key": key, "contact": contact, "title": title, "body": body}
            await connection.execute(insert(outbox).values(**row, created_at=now, next_attempt_at=now))


async def told(connection: AsyncConnection, episode_id: int) -> Told | None:
    """What people have been told of one episode, or None if nothing."""
    rows = await connection.execute(_HEADS.where(outbox.c.episode == episode_id))
    found = rows.all()
    return _told(episode_id, found) if found else None


@dataclass(frozen=True)
class Standing:
    """An open episode that people have been told of."""

    key: Key
    confirmed_at: datetime
    firing_since: datetime
    told: Told


async def told_and_open(connection: AsyncConnection) -> Sequence[Standing]:
    """Every open episode that people have been told of."""
    about = [episode.c[name] for name in ("stack", "remediation", "target", "confirmed_at", "firing_since")]
    wanted = _HEADS.add_columns(*about).join(episode, episode.c.id == outbox.c.episode)
    by_episode: dict[int, list[Any]] = {}
    for row in await connection.execute(wanted.where(episode.c.ended_at.is_(None))):
        by_episode.setdefault(row.episode, []).append(row)
    return [_standing(identifier, rows) for identifier, rows in by_episode.items()]


def _standing(identifier: int, rows: Sequence[Any]) -> Standing:
    one = rows[0]
    key = Key(one.stack, one.remediation, one.target)
    return Standing(key, one.confirmed_at, one.firing_since, _told(identifier, rows))


def _told(identifier: int, rows: Sequence[Any]) -> Told:
    return Told(
        identifier,
        min(row.created_at for row in rows),
        frozenset(row.key for row in rows),
        frozenset(row.contact for row in rows),
    )


async def drop_untold_steps(connection: AsyncConnection, episode_id: int) -> None:
    """Forget steps whose message nobody has begun to send: whoever has heard nothing needs to hear nothing now."""
    await connection.execute(
        delete(outbox).where(outbox.c.episode == episode_id, outbox.c.key.like(f"%/{_STEP}/%"), outbox.c.attempts == 0)
    )


async def due(connection: AsyncConnection, now: datetime) -> Sequence[Any]:
    """Messages that are to be tried now, oldest first. None overtakes an older one of its episode and contact.

    Nothing is ever put off for longer than MAX_WAIT: what seems to be was, before the clock was set back.
    """
    tried_now = or_(outbox.c.next_attempt_at <= now, outbox.c.next_attempt_at > now + MAX_WAIT)
    older = outbox.alias()
    waits = exists().where(
        older.c.episode == outbox.c.episode,
        older.c.contact == outbox.c.contact,
        older.c.sent_at.is_(None),
        older.c.id < outbox.c.id,
    )
    rows = await connection.execute(
        select(outbox).where(outbox.c.sent_at.is_(None), tried_now, ~waits).order_by(outbox.c.id).limit(20)
    )
    return rows.all()


async def claim(connection: AsyncConnection, message: Any, now: datetime) -> bool:
    """Say that `message` is being sent; whether it still was to be sent."""
    result = await connection.execute(
        update(outbox)
        .where(outbox.c.id == message.id, outbox.c.attempts == message.attempts, outbox.c.sent_at.is_(None))
        .values(attempts=message.attempts + 1, next_attempt_at=now + IN_FLIGHT)
    )
    return result.rowcount == 1


async def sent(connection: AsyncConnection, identifier: int, now: datetime) -> None:
    await connection.execute(update(outbox).where(outbox.c.id == identifier).values(sent_at=now))


async def drop(connection: AsyncConnection, identifier: int) -> None:
    await connection.execute(delete(outbox).where(outbox.c.id == identifier))


async def failed(connection: AsyncConnection, identifier: int, attempts: int, now: datetime) -> None:
    """Try again later: 1, 2, 4 … seconds after the first, second, third attempt, at most MAX_WAIT."""
    wait = min(timedelta(seconds=2 ** min(attempts, 10)), MAX_WAIT)
    await connection.execute(update(outbox).where(outbox.c.id == identifier).values(next_attempt_at=now + wait))


async def waiting(connection: AsyncConnection) -> int:
    """How many messages have not reached their contact yet."""
    rows = await connection.execute(select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None)))
    return int(rows.scalar_one())
