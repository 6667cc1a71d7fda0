"""Messages to contacts, queued once per key and contact, and sent at least once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    FromClause,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.episodes import Episode
from remediator.ledger.schema import Instant, LedgerRow, episode, outbox
from remediator.model.episode_key import EpisodeKey

MAX_WAIT = timedelta(minutes=5)
# A claimed message is not sent again for this long; after a crash it is resent then.
IN_FLIGHT = timedelta(minutes=1)
MAX_DUE = 20  # messages per contact and round
_STEP, _END, _SUMMARY, _UNKNOWN_TARGETS = "step", "ended", "summary", "unknown_targets"
_ANNOUNCEMENT, _ACKNOWLEDGEMENT, _REMINDER, _REPORT = "announcement", "acknowledgement", "reminder", "report"
IS_UNSENT = outbox.c.sent_at.is_(None)


def is_summary(table: FromClause) -> ColumnElement[bool]:
    """Return the condition that a row of `table` is a summary, as a range of an index."""
    return and_(table.c.key >= f"{_SUMMARY}/", table.c.key < f"{_SUMMARY}0")


def _has_unsent_critical() -> ColumnElement[bool]:
    """Return the condition that a critical message of the episode is unsent, this one or a later one."""
    other = outbox.alias()
    return exists().where(
        other.c.episode == outbox.c.episode,
        other.c.contact == outbox.c.contact,
        other.c.sent_at.is_(None),
        other.c.severity == "critical",
    )


# Retries continue, and critical messages are sent at once, as those before them. All others may wait for a summary.
MAY_WAIT = and_(outbox.c.attempts == 0, not_(is_summary(outbox)), not_(_has_unsent_critical()))
# Built once: the engine executes both every second.
_LAST_UNKNOWN_TARGETS = select(func.max(outbox.c.created_at)).where(
    outbox.c.key > f"{_UNKNOWN_TARGETS}/",
    outbox.c.key < f"{_UNKNOWN_TARGETS}0",  # served by the index
)
_ENDED_WITHOUT_MESSAGE = (
    select(episode)
    .where(
        episode.c.ended_at >= bindparam("since"),
        episode.c.end_reason != "finished",
        exists().where(outbox.c.episode == episode.c.id, outbox.c.key.not_like(f"{_UNKNOWN_TARGETS}/%")),
        ~exists().where(outbox.c.episode == episode.c.id, outbox.c.key.like(f"%/{_END}")),
    )
    .order_by(episode.c.ended_at)
)
_DROP_UNSENT_STEPS = delete(outbox).where(
    outbox.c.episode == bindparam("of_episode"), outbox.c.key.like(f"%/{_STEP}/%"), outbox.c.attempts == 0
)
_MESSAGE_QUERY = select(outbox.c.episode, outbox.c.key, outbox.c.contact, outbox.c.created_at)
_MESSAGES_OF = _MESSAGE_QUERY.where(outbox.c.episode == bindparam("of_episode"))


@dataclass(frozen=True)
class Draft:
    """A message before it is queued; `body` is its structure as JSON."""

    title: str
    body: str
    severity: str


@dataclass(frozen=True)
class Message:
    """An unsent message to one contact; `attempts` counts the earlier ones."""

    id: int
    episode: int | None  # None for the announcement of a window, or a summary that begins with one
    key: str
    contact: str
    title: str
    body: str
    severity: str | None  # NULL in the rows of the first release
    attempts: int

    @property
    def is_about_the_end(self) -> bool:
        """Whether it reports that its episode has ended."""
        return self.episode is not None and self.key == end_key(self.episode)


UNSENT_QUERY = select(*(outbox.c[each.name] for each in fields(Message))).where(IS_UNSENT)


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


def summary_key(first: int, last: int) -> str:
    """Return the key of the summary of these messages."""
    return f"{_SUMMARY}/{first}-{last}"


def end_key(episode_id: int) -> str:
    """Return the key of the message that the episode has ended."""
    return f"{episode_id}/{_END}"


def unknown_targets_key(run_id: int) -> str:
    """Return the key of the message about unknown targets; `run_id` is the newest run that it covers."""
    return f"{_UNKNOWN_TARGETS}/{run_id}"


def announcement_key(stack: str, window: str, at: datetime, name: str) -> str:
    """Return the key of the announcement of a window that opens or closes at this moment."""
    return f"{_ANNOUNCEMENT}/{stack}/{window}/{at:%Y-%m-%dT%H:%MZ}/{name}"


def acknowledgement_key(identifier: int, event: Literal["begun", "ended"]) -> str:
    """Return the key of the message that an acknowledgement has begun or ended."""
    return f"{_ACKNOWLEDGEMENT}/{identifier}/{event}"


def reminder_key(stack: str, name: str, at: datetime) -> str:
    """Return the key of a reminder that is due at this moment."""
    return f"{_REMINDER}/{stack}/{name}/{at:%Y-%m-%dT%H:%M:%SZ}"


def report_key(name: str, week: str) -> str:
    """Return the key of the weekly report with this name."""
    return f"{_REPORT}/{name}/{week}"


async def contacts_of(connection: AsyncConnection, key: str) -> frozenset[str]:
    """Return the contacts for whom the message with this key has been queued."""
    return frozenset((await connection.execute(select(outbox.c.contact).where(outbox.c.key == key))).scalars())


async def last_reminder_at(connection: AsyncConnection, stack: str, name: str) -> datetime | None:
    """Return when this reminder was last queued, or None."""
    prefix = f"{_REMINDER}/{stack}/{name}"
    is_such = outbox.c.key > f"{prefix}/", outbox.c.key < f"{prefix}0"  # served by the index
    at: datetime | None = (await connection.execute(select(func.max(outbox.c.created_at)).where(*is_such))).scalar_one()
    return at


def is_a_summary(key: str) -> bool:
    """Return whether the message reports others, which wait."""
    return key.startswith(f"{_SUMMARY}/")


def is_about_a_target(key: str) -> bool:
    """Return whether the message is about one target, which can be read."""
    others = (_SUMMARY, _UNKNOWN_TARGETS, _ANNOUNCEMENT, _ACKNOWLEDGEMENT, _REMINDER, _REPORT)
    return not key.startswith(tuple(f"{each}/" for each in others))


async def last_unknown_targets_at(connection: AsyncConnection) -> datetime | None:
    """Return when the last message about unknown targets was queued, or None."""
    at: datetime | None = (await connection.execute(_LAST_UNKNOWN_TARGETS)).scalar_one()
    return at


async def ended_without_message(connection: AsyncConnection, since: datetime) -> Sequence[Episode]:
    """Return the episodes that have ended since then, whose contacts were notified but not of the end.

    An episode that ended with its run has no end of its own to report.
    """
    rows = await connection.execute(_ENDED_WITHOUT_MESSAGE, {"since": since})
    return [Episode(**row._mapping) for row in rows]


async def enqueue(
    connection: AsyncConnection,
    episode_id: int | None,
    key: str,
    contacts: Iterable[str],
    draft: Draft,
    now: datetime,
) -> None:
    """Queue one message to each contact, unless this key has been queued for them before."""
    for contact in contacts:
        existing = await connection.execute(select(outbox.c.id).where(outbox.c.key == key, outbox.c.contact == contact))
        if existing.first() is None:
            row = {"episode": episode_id, "key": key, "contact": contact, **asdict(draft)}
            await connection.execute(insert(outbox).values(**row, created_at=now, next_attempt_at=now))


async def notifications_of(connection: AsyncConnection, episode_id: int) -> Notifications | None:
    """Return the messages queued about one episode, or None."""
    message_rows = (await connection.execute(_MESSAGES_OF, {"of_episode": episode_id})).all()
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
    await connection.execute(_DROP_UNSENT_STEPS, {"of_episode": episode_id})


async def unsent_contacts(connection: AsyncConnection) -> Sequence[str]:
    """Return the contacts with unsent messages."""
    rows = await connection.execute(select(outbox.c.contact).where(IS_UNSENT).distinct())
    return sorted(rows.scalars())


async def due(connection: AsyncConnection, contact: str, now: datetime, new: int) -> Sequence[Message]:
    """Return the due messages to `contact`, oldest first: retries, urgent ones, and `new` others.

    None overtakes an older one of its episode, unless the service refused that one for its content.

    A retry more than MAX_WAIT ahead means that the clock was set back, so it is due.
    """
    is_due = or_(outbox.c.next_attempt_at <= now, outbox.c.next_attempt_at > now + MAX_WAIT)
    conditions = outbox.c.contact == contact, is_due, ~has_older_unsent()
    messages = []
    for kind, limit in ((not_(MAY_WAIT), MAX_DUE), (MAY_WAIT, min(new, MAX_DUE))):
        if limit > 0:
            query = UNSENT_QUERY.where(*conditions, kind).order_by(outbox.c.id).limit(limit)
            messages += [Message(*row) for row in await connection.execute(query)]
    return sorted(messages, key=lambda message: message.id)


def has_older_unsent(*of_kind: Callable[[FromClause], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition that an older message of the episode, or a summary, is unsent.

    A message that the service refused for its content holds up no other.
    """
    older = outbox.alias()
    return exists().where(
        or_(older.c.episode == outbox.c.episode, is_summary(older)),
        older.c.contact == outbox.c.contact,
        older.c.sent_at.is_(None),
        older.c.refused_at.is_(None),
        older.c.id < outbox.c.id,
        *(condition(older) for condition in of_kind),
    )


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


async def mark_refused(connection: AsyncConnection, identifier: int, now: datetime) -> None:
    """Note that the service refused the message for its content: it no longer holds up the next one."""
    values = {"refused_at": now, "next_attempt_at": now + MAX_WAIT}
    await connection.execute(update(outbox).where(outbox.c.id == identifier).values(**values))


async def last_sent(connection: AsyncConnection) -> Mapping[str, datetime]:
    """Return when a message last reached each contact."""
    query = select(outbox.c.contact, func.max(outbox.c.sent_at, type_=Instant())).where(outbox.c.summary.is_(None))
    rows = await connection.execute(query.where(outbox.c.sent_at.is_not(None)).group_by(outbox.c.contact))
    return {row[0]: row[1] for row in rows}


async def count_unsent_by_contact(connection: AsyncConnection) -> Mapping[str, int]:
    """Count the unsent messages of each contact that has some."""
    query = select(outbox.c.contact, func.count()).where(IS_UNSENT).group_by(outbox.c.contact)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def count_unsent(connection: AsyncConnection) -> int:
    """Count the messages that have not reached their contact yet."""
    rows = await connection.execute(select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None)))
    return int(rows.scalar_one())
