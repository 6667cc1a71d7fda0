"""Episodes: the time in which at least one alert fires for one (stack, remediation, target)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.schema import episode, microseconds
from remediator.model.delivery import Alert
from remediator.model.episode_key import Key

ASKED_AT_ONCE = 300  # databases limit the parameters of one statement


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
        """Whether it was confirmed that lately."""
        return lately(self.confirmed_at, span, now)


def lately(moment: datetime, span: timedelta, now: datetime) -> bool:
    """Whether `moment` was that lately; what lies ahead was before the clock was set back."""
    return now - span <= moment <= now


class Book:
    """The open episodes of some keys, while deliveries about them are worked off.

    Nearly everything that Alertmanager sends only repeats: it is kept in mind, and written in one go by `keep`.
    """

    def __init__(self, connection: AsyncConnection, known: Mapping[Key, Episode]) -> None:
        self._connection = connection
        self._known = dict(known)
        self._changed: set[Key] = set()

    async def confirm(self, key: Key, firing: Sequence[Heard], now: datetime) -> None:
        """Alerts of `key` fire: open their episode, or confirm the one that is open."""
        current = self._known.get(key)
        if current is None:
            self._known[key] = await _open(self._connection, key, firing, now)
            return
        self._change(
            current,
            confirmed_at=firing[-1].received,
            firing_since=min(current.firing_since, _since(firing)),
            alerts=_entries(firing, current.alerts),
        )

    async def resolve(self, key: Key, alerts: Sequence[Alert], now: datetime) -> Episode | None:
        """Alerts of `key` are over; return the episode if no other fires, and it has thereby ended."""
        current = self._known.get(key)
        over = {alert.key for alert in alerts if current and _is_about(alert, current.alerts.get(alert.key))}
        if current is None or not over:
            return None
        left = {name: entry for name, entry in current.alerts.items() if name not in over}
        if left:
            self._change(current, alerts=left)
            return None
        await self.keep()
        del self._known[key]
        await end(self._connection, current, "resolved", now)
        return current

    async def keep(self) -> None:
        """Write down what was only kept in mind."""
        rows = [_changed(self._known[key]) for key in self._changed]
        self._changed.clear()
        if rows:
            await self._connection.execute(_CHANGE, rows)

    def _change(self, current: Episode, **columns: Any) -> None:
        self._known[current.key] = replace(current, **columns)
        self._changed.add(current.key)


_CHANGE = (
    update(episode)
    .where(episode.c.id == bindparam("which"))
    .values({name: bindparam(name) for name in ("confirmed_at", "firing_since", "alerts")})
)


def _changed(which: Episode) -> dict[str, Any]:
    return {
        "which": which.id,
        "confirmed_at": which.confirmed_at,
        "firing_since": which.firing_since,
        "alerts": which.alerts,
    }


async def book(connection: AsyncConnection, keys: Collection[Key]) -> Book:
    """The open episodes of these keys, in a few questions however many they are."""
    known, wanted = {}, sorted((key.stack, key.remediation, key.target) for key in keys)
    about = tuple_(episode.c.stack, episode.c.remediation, episode.c.target)
    for at in range(0, len(wanted), ASKED_AT_ONCE):
        some = about.in_(wanted[at : at + ASKED_AT_ONCE])
        for row in await connection.execute(select(episode).where(some, episode.c.ended_at.is_(None))):
            found = Episode(**row._mapping)
            known[found.key] = found
    return Book(connection, known)


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


async def all_open(
    connection: AsyncConnection,
    *,
    opened_since: datetime | None = None,
    not_confirmed_between: tuple[datetime, datetime] | None = None,
) -> Sequence[Episode]:
    """Those that have not ended, oldest first: all, or only some of them."""
    wanted = select(episode).where(episode.c.ended_at.is_(None))
    if opened_since is not None:
        wanted = wanted.where(episode.c.opened_at > opened_since)
    if not_confirmed_between is not None:
        wanted = wanted.where(~episode.c.confirmed_at.between(*not_confirmed_between))
    return [Episode(**row._mapping) for row in await connection.execute(wanted.order_by(episode.c.id))]


async def count_open(connection: AsyncConnection) -> Sequence[tuple[str, str, int]]:
    """How many of each stack and remediation have not ended."""
    of = episode.c.stack, episode.c.remediation
    rows = await connection.execute(select(*of, func.count()).where(episode.c.ended_at.is_(None)).group_by(*of))
    return [(stack, remediation, number) for stack, remediation, number in rows]


async def confirmed(connection: AsyncConnection, identifiers: Collection[int]) -> Mapping[int, datetime]:
    """When each of these episodes was last confirmed."""
    wanted = select(episode.c.id, episode.c.confirmed_at).where(episode.c.id.in_(set(identifiers)))
    return {row.id: row.confirmed_at for row in await connection.execute(wanted)}


async def get(connection: AsyncConnection, identifier: int) -> Episode:
    row = (await connection.execute(select(episode).where(episode.c.id == identifier))).one()
    return Episode(**row._mapping)


async def _open(connection: AsyncConnection, key: Key, firing: Sequence[Heard], now: datetime) -> Episode:
    result = await connection.execute(
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
    assert result.inserted_primary_key is not None  # noqa: S101 - an insert of one row always has one
    return await get(connection, int(result.inserted_primary_key[0]))


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
