"""Episodes: the time in which at least one alert fires for one (stack, remediation, target)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.delivery import Alert
from remediator.ledger import audit
from remediator.ledger.schema import episode, microseconds


@dataclass(frozen=True)
class Key:
    """What an episode is about. `target` is canonical, or what the alert claimed where no such target exists."""

    stack: str
    remediation: str
    target: str


@dataclass(frozen=True)
class Heard:
    """An alert, and when its delivery came."""

    alert: Alert
    received: datetime


@dataclass(frozen=True)
class Episode:
    """A row of the table; `alerts` maps each firing alert's key to its labels, annotations and start."""

    id: int
    stack: str
    remediation: str
    target: str
    opened_at: datetime
    firing_since: datetime
    delivered_at: datetime
    confirmed_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    alerts: Mapping[str, Any]

    @property
    def key(self) -> Key:
        return Key(self.stack, self.remediation, self.target)

    def confirmed_within(self, span: timedelta, now: datetime) -> bool:
        """Whether it was confirmed that lately; what lies ahead was confirmed before the clock was set back."""
        return now - span <= self.confirmed_at <= now


async def confirm(connection: AsyncConnection, key: Key, firing: Sequence[Heard], now: datetime) -> None:
    """Alerts of `key` fire: open their episode, or confirm the one that is open."""
    current = await open_for(connection, key)
    if current is None:
        await _open(connection, key, firing, now)
        return
    await connection.execute(
        update(episode)
        .where(episode.c.id == current.id)
        .values(
            confirmed_at=firing[-1].received,
            firing_since=min(current.firing_since, _since(firing)),
            alerts=_entries(firing, current.alerts),
        )
    )


async def resolve(connection: AsyncConnection, key: Key, alerts: Sequence[Alert], now: datetime) -> Episode | None:
    """Alerts of `key` are over; return the episode if they were the last ones that fired, and it has thereby ended."""
    current = await open_for(connection, key)
    if current is None:
        return None
    over = {alert.key for alert in alerts if _is_about(alert, current.alerts.get(alert.key))}
    if not over:
        return None
    left = {name: entry for name, entry in current.alerts.items() if name not in over}
    if not left:
        await end(connection, current, "resolved", now)
        return current
    await connection.execute(update(episode).where(episode.c.id == current.id).values(alerts=left))
    return None


async def end(connection: AsyncConnection, which: Episode, reason: str, now: datetime) -> None:
    await connection.execute(update(episode).where(episode.c.id == which.id).values(ended_at=now, end_reason=reason))
    await audit.append(connection, now, f"episode_{reason}", detail={"episode": which.id})


async def open_for(connection: AsyncConnection, key: Key) -> Episode | None:
    """The open episode of `key`, of which there is never more than one."""
    rows = await connection.execute(
        select(episode).where(
            episode.c.stack == key.stack,
            episode.c.remediation == key.remediation,
            episode.c.target == key.target,
            episode.c.ended_at.is_(None),
        )
    )
    row = rows.one_or_none()
    return None if row is None else Episode(**row._mapping)


async def all_open(connection: AsyncConnection) -> Sequence[Episode]:
    rows = await connection.execute(select(episode).where(episode.c.ended_at.is_(None)).order_by(episode.c.id))
    return [Episode(**row._mapping) for row in rows]


async def confirmed(connection: AsyncConnection, identifiers: Collection[int]) -> Mapping[int, datetime]:
    """When each of these episodes was last confirmed."""
    wanted = select(episode.c.id, episode.c.confirmed_at).where(episode.c.id.in_(set(identifiers)))
    return {row.id: row.confirmed_at for row in await connection.execute(wanted)}


async def get(connection: AsyncConnection, identifier: int) -> Episode:
    row = (await connection.execute(select(episode).where(episode.c.id == identifier))).one()
    return Episode(**row._mapping)


async def _open(connection: AsyncConnection, key: Key, firing: Sequence[Heard], now: datetime) -> None:
    await connection.execute(
        insert(episode).values(
            stack=key.stack,
            remediation=key.remediation,
            target=key.target,
            opened_at=now,
            firing_since=_since(firing),
            delivered_at=firing[0].received,
            confirmed_at=firing[-1].received,
            alerts=_entries(firing, {}),
        )
    )
    detail = {"stack": key.stack, "remediation": key.remediation, "target": key.target}
    await audit.append(connection, now, "episode_opened", detail=detail)


def _since(firing: Sequence[Heard]) -> datetime:
    """When the first of them began to fire; a sender whose clock is ahead does not make that the future."""
    return min(min(heard.received, heard.alert.started) for heard in firing)


def _is_about(resolved: Alert, entry: Mapping[str, Any] | None) -> bool:
    """Not if it was over before the alert that fires began: then it is the late end of an earlier one.

    Its own start tells less, and counts only where it has no end: Alertmanager moves a start back when it merges what
    several Prometheus servers say of one alert.
    """
    return entry is not None and microseconds(resolved.over) >= entry.get("started", 0)


def _entries(firing: Sequence[Heard], known: Mapping[str, Any]) -> dict[str, Any]:
    """Each alert with the latest start that was told of it: what comes late makes no alert older than it is."""
    entries = dict(known)
    for alert in (heard.alert for heard in firing):
        started = max(microseconds(alert.started), entries.get(alert.key, {}).get("started", 0))
        entries[alert.key] = {"labels": alert.labels, "annotations": alert.annotations, "started": started}
    return entries
