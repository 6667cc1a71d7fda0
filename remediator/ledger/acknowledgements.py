"""The acknowledgements of episodes, and what ends one: time, or a change that nobody has seen yet."""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.episodes import Episode
from remediator.ledger.schema import LedgerRow, acknowledge_tally, episode
from remediator.ledger.schema import acknowledgement as table
from remediator.model.target import sanitize

# The upper limits of the metric's buckets in seconds; the runbooks' response times are among them.
BUCKETS = (60, 300, 900, 1_800, 3_600, 4 * 3_600, 24 * 3_600)


@dataclass(frozen=True)
class Acknowledgement:
    """A row of the table. `alerts` maps each alert that fired then to its start; `since` is when it began to count."""

    id: int
    episode: int
    operator: str
    note: str
    since: datetime
    at: datetime
    until: datetime | None
    priority: str
    alerts: Mapping[str, int]
    ended_at: datetime | None
    end_reason: str | None

    def why_over(self, current: Episode, now: datetime) -> str | None:
        """Return why it no longer holds for its episode, or None."""
        if self.ended_at is not None or current.ended_at is not None:
            return self.end_reason or "the episode has ended"
        if self.until is not None and self.until <= now:
            return "its time is over"
        for key, entry in current.alerts.items():
            started = entry.get("started", 0)
            name = sanitize(str(entry["labels"].get("alertname", "an alert")))
            if key not in self.alerts:
                return f"{name} began to fire"
            if started > self.alerts.get(key, started):
                return f"{name} fires again"
        if current.priority and current.priority < (self.priority or "P9"):
            return f"its priority rose to {current.priority}"
        return None


@dataclass(frozen=True)
class WaitingCount:
    """The acknowledgements of one stack and priority that came within one bucket, and their seconds."""

    stack: str
    priority: str
    bucket: int
    acknowledgements: int
    seconds: float


async def insert_one(connection: AsyncConnection, current: Episode, **columns: Any) -> Acknowledgement:
    """Store the acknowledgement of an episode as it is now."""
    alerts = {key: entry.get("started", 0) for key, entry in current.alerts.items()}
    values = {"episode": current.id, "priority": current.priority, "alerts": alerts, **columns}
    result = await connection.execute(insert(table).values(**values))
    assert result.inserted_primary_key is not None  # noqa: S101 - an insert of one row always has one
    rows = await connection.execute(_query().where(table.c.id == int(result.inserted_primary_key[0])))
    return _from_row(rows.one())


async def of_episode(connection: AsyncConnection, identifier: int) -> Sequence[Acknowledgement]:
    """Return the acknowledgements of an episode, oldest first."""
    rows = await connection.execute(_query().where(table.c.episode == identifier).order_by(table.c.id))
    return [_from_row(row) for row in rows]


async def open_of(connection: AsyncConnection, episode_id: int) -> Acknowledgement | None:
    """Return the acknowledgement of an episode that nothing has ended yet; see `why_over`."""
    rows = await connection.execute(_query().where(table.c.episode == episode_id, table.c.ended_at.is_(None)))
    row = rows.one_or_none()
    return None if row is None else _from_row(row)


async def latest_of(connection: AsyncConnection, identifiers: Collection[int]) -> Mapping[int, Acknowledgement]:
    """Return the last acknowledgement of each of these episodes that has one."""
    rows = await connection.execute(_query().where(table.c.episode.in_(identifiers)))
    return {each.episode: each for each in sorted(map(_from_row, rows), key=lambda each: each.id)}


async def all_open(connection: AsyncConnection) -> Sequence[Acknowledgement]:
    """Return the acknowledgements that nothing has ended yet."""
    rows = await connection.execute(_query().where(table.c.ended_at.is_(None)).order_by(table.c.id))
    return [_from_row(row) for row in rows]


async def of_open_episodes(connection: AsyncConnection) -> Mapping[int, Sequence[Acknowledgement]]:
    """Return the acknowledgements of each open episode that has some, oldest first."""
    query = _query().join(episode, episode.c.id == table.c.episode).where(episode.c.ended_at.is_(None))
    found: dict[int, list[Acknowledgement]] = {}
    for each in map(_from_row, await connection.execute(query.order_by(table.c.id))):
        found.setdefault(each.episode, []).append(each)
    return found


async def end(connection: AsyncConnection, identifier: int, now: datetime, reason: str) -> bool:
    """End an acknowledgement; return whether nothing had ended it before."""
    is_open = table.c.id == identifier, table.c.ended_at.is_(None)
    result = await connection.execute(update(table).where(*is_open).values(ended_at=now, end_reason=reason))
    return result.rowcount == 1


async def count(connection: AsyncConnection, stack: str, priority: str, seconds: float) -> None:
    """Count an acknowledgement in the metric, apart from the rows, which retention deletes."""
    key = {"stack": stack, "priority": priority, "bucket": bisect_left(BUCKETS, seconds)}
    same = [acknowledge_tally.c[name] == value for name, value in key.items()]
    sums = {
        "acknowledgements": acknowledge_tally.c.acknowledgements + 1,
        "seconds": acknowledge_tally.c.seconds + seconds,
    }
    result = await connection.execute(update(acknowledge_tally).where(*same).values(**sums))
    if not result.rowcount:
        await connection.execute(insert(acknowledge_tally).values(**key, acknowledgements=1, seconds=seconds))


async def counts(connection: AsyncConnection) -> Sequence[WaitingCount]:
    """Return the counts of the metric."""
    columns = [acknowledge_tally.c[each.name] for each in fields(WaitingCount)]
    return [WaitingCount(*row) for row in await connection.execute(select(*columns))]


def _query() -> Select[Any]:
    return select(*(table.c[each.name] for each in fields(Acknowledgement)))


def _from_row(row: LedgerRow) -> Acknowledgement:
    return Acknowledgement(**row._mapping)
