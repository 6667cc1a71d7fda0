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


async def confirm(connection: AsyncConnection, key: Key, alert: Alert, received: datetime, now: datetime) -> None:
    """An alert of `key` fires: open its episode, or confirm the one that is open."""
    current = await open_for(connection, key)
    if current is None:
        await _open(connection, key, alert, received, now)
        return
    await connection.execute(
        update(episode)
        .where(episode.c.id == current.id)
        .values(
            confirmed_at=max(received, current.confirmed_at),
            firing_since=min(alert.started, current.firing_since),
            alerts={**current.alerts, alert.key: _entry(alert)},
        )
    )


async def resolve(connection: AsyncConnection, key: Key, alert: Alert, now: datetime) -> Episode | None:
    """An alert of `key` is over; return the episode if it was the last one that fired, and has thereby ended."""
    current = await open_for(connection, key)
    if current is None or alert.key not in current.alerts:
        return None
    left = {name: entry for name, entry in current.alerts.items() if name != alert.key}
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


async def _open(connection: AsyncConnection, key: Key, alert: Alert, received: datetime, now: datetime) -> None:
    await connection.execute(
        insert(episode).values(
            stack=key.stack,
            remediation=key.remediation,
            target=key.target,
            opened_at=now,
            firing_since=alert.started,
            delivered_at=received,
            confirmed_at=received,
            alerts={alert.key: _entry(alert)},
        )
    )
    await audit.append(
        connection,
        now,
        "episode_opened",
        detail={"stack": key.stack, "remediation": key.remediation, "target": key.target},
    )


def _entry(alert: Alert) -> dict[str, Any]:
    return {"labels": alert.labels, "annotations": alert.annotations}
