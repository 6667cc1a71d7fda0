"""Episodes: the time in which at least one alert fires for one (stack, remediation, target)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.delivery import Alert
from remediator.ledger import audit
from remediator.ledger.schema import episode


@dataclass(frozen=True)
class Key:
    """What an episode is about. `target` is canonical, or what the alert claimed where no such target exists."""

    stack: str
    remediation: str
    target: str


@dataclass(frozen=True)
class Episode:
    """A row of the table; `alerts` maps each firing alert's key to its labels and annotations."""

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


async def confirm(
    connection: AsyncConnection, key: Key, alerts: Sequence[Alert], received: datetime, now: datetime
) -> None:
    """Alerts of `key` fire: open their episode, or confirm the one that is open."""
    current = await open_for(connection, key)
    if current is None:
        await _open(connection, key, alerts, received, now)
        return
    await connection.execute(
        update(episode)
        .where(episode.c.id == current.id)
        .values(
            confirmed_at=received,
            firing_since=min(current.firing_since, _since(alerts, received)),
            alerts={**current.alerts, **_entries(alerts)},
        )
    )


async def resolve(connection: AsyncConnection, key: Key, alerts: Sequence[Alert], now: datetime) -> Episode | None:
    """Alerts of `key` are over; return the episode if they were the last ones that fired, and it has thereby ended."""
    over, current = {alert.key for alert in alerts}, await open_for(connection, key)
    if current is None or not over & set(current.alerts):
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


async def get(connection: AsyncConnection, identifier: int) -> Episode:
    row = (await connection.execute(select(episode).where(episode.c.id == identifier))).one()
    return Episode(**row._mapping)


async def _open(
    connection: AsyncConnection, key: Key, alerts: Sequence[Alert], received: datetime, now: datetime
) -> None:
    await connection.execute(
        insert(episode).values(
            stack=key.stack,
            remediation=key.remediation,
            target=key.target,
            opened_at=now,
            firing_since=_since(alerts, received),
            delivered_at=received,
            confirmed_at=received,
            alerts=_entries(alerts),
        )
    )
    await audit.append(
        connection,
        now,
        "episode_opened",
        detail={"stack": key.stack, "remediation": key.remediation, "target": key.target},
    )


def _since(alerts: Sequence[Alert], received: datetime) -> datetime:
    """When the first of them began to fire; a sender whose clock is ahead does not make that the future."""
    return min(received, *(alert.started for alert in alerts))


def _entries(alerts: Sequence[Alert]) -> dict[str, Any]:
    return {alert.key: {"labels": alert.labels, "annotations": alert.annotations} for alert in alerts}
