"""The story of one run, as its page shows it: its audit rows, its items with their times, and its messages."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.effects import RunItem
from remediator.ledger.run_row import Run
from remediator.ledger.schema import audit, item, outbox, run
from remediator.model.remediation import Item, ItemState
from remediator.model.run_state import RunState

MAX_EVENTS, MAX_ITEMS, MAX_MESSAGES = 300, 100, 50
MAX_OTHERS = 5_000  # runs of the episode on either side: one a minute for three days
SHOWN_SIBLINGS = 10  # on either side
_OF_ITEMS = ("intended", "settled")  # two rows per effect; the items themselves say it better


class StoryEvent(NamedTuple):
    """A row of the audit trail."""

    event: str
    at: datetime
    actor: str
    detail: Mapping[str, Any]


class StoryItem(NamedTuple):
    """An item with the times of its intent and of its outcome."""

    row: RunItem
    intended_at: datetime | None
    settled_at: datetime | None


class StoryMessage(NamedTuple):
    """A message about the run's episode. Without `sent_at`, the contact has not accepted it yet."""

    contact: str
    title: str
    created_at: datetime
    sent_at: datetime | None
    attempts: int


class OtherRun(NamedTuple):
    """Another run of the episode. Without `finished_at`, it has not ended."""

    id: int
    state: RunState
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Story:
    """All of it, within limits. `counts` are those of all items; the items are the first MAX_ITEMS."""

    events: Sequence[StoryEvent]
    items: Sequence[StoryItem]
    counts: Counter[ItemState]
    messages: Sequence[StoryMessage]
    others: Sequence[OtherRun]
    """The other runs of the episode, oldest first."""

    @property
    def effects_began_at(self) -> datetime | None:
        """The first intent."""
        return min((each.intended_at for each in self.items if each.intended_at), default=None)

    def siblings(self, identifier: int) -> Sequence[int]:
        """Return the numbers of the episode's runs around the run `identifier` of this story, and its own."""
        before = [each.id for each in self.others if each.id < identifier]
        after = [each.id for each in self.others if each.id > identifier]
        return [*before[-SHOWN_SIBLINGS:], identifier, *after[:SHOWN_SIBLINGS]]


async def read_story(connection: AsyncConnection, current: Run) -> Story:
    """Read the story of a run; of a very long one, the newest events."""
    others = await _others(connection, current)
    return Story(
        await _events(connection, current.id),
        await _items(connection, current.id),
        await _counts(connection, current.id),
        await _messages(connection, current, next((each.id for each in others if each.id > current.id), None)),
        others,
    )


async def _events(connection: AsyncConnection, identifier: int) -> Sequence[StoryEvent]:
    query = select(audit.c.event, audit.c.at, audit.c.actor, audit.c.detail)
    query = query.where(audit.c.run == identifier, audit.c.event.not_in(_OF_ITEMS))
    newest = [StoryEvent(*row) for row in await connection.execute(query.order_by(audit.c.id.desc()).limit(MAX_EVENTS))]
    return newest[::-1]


async def _items(connection: AsyncConnection, identifier: int) -> Sequence[StoryItem]:
    query = select(item).where(item.c.run == identifier).order_by(item.c.position).limit(MAX_ITEMS)
    return [
        StoryItem(
            RunItem(row.position, Item(row.identity, row.evidence), ItemState(row.state), row.detail),
            row.intended_at,
            row.settled_at,
        )
        for row in await connection.execute(query)
    ]


async def _counts(connection: AsyncConnection, identifier: int) -> Counter[ItemState]:
    query = select(item.c.state, func.count()).where(item.c.run == identifier).group_by(item.c.state)
    return Counter({ItemState(state): number for state, number in await connection.execute(query)})


async def _others(connection: AsyncConnection, current: Run) -> Sequence[OtherRun]:
    of_episode = select(run.c.id, run.c.state, run.c.created_at, run.c.finished_at).where(
        run.c.episode == current.episode
    )
    before = of_episode.where(run.c.id < current.id).order_by(run.c.id.desc()).limit(MAX_OTHERS)
    after = of_episode.where(run.c.id > current.id).order_by(run.c.id).limit(MAX_OTHERS)
    earlier = (await connection.execute(before)).all()
    rows = [*reversed(earlier), *(await connection.execute(after)).all()]
    return [OtherRun(row.id, RunState(row.state), row.created_at, row.finished_at) for row in rows]


async def _messages(connection: AsyncConnection, current: Run, next_run: int | None) -> Sequence[StoryMessage]:
    """Return the messages of the episode from the beginning of this run until that of the next one."""
    query = select(outbox.c.contact, outbox.c.title, outbox.c.created_at, outbox.c.sent_at, outbox.c.attempts)
    query = query.where(outbox.c.episode == current.episode, outbox.c.created_at >= current.created_at)
    if next_run is not None:
        next_began = select(run.c.created_at).where(run.c.id == next_run).scalar_subquery()
        query = query.where(outbox.c.created_at < next_began)
    return [StoryMessage(*row) for row in await connection.execute(query.order_by(outbox.c.id).limit(MAX_MESSAGES))]
