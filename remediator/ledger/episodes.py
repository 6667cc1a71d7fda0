"""Episodes: at least one alert fires for one (stack, remediation, target)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit, firing_alerts
from remediator.ledger.firing_alerts import FiringAlerts, ReceivedAlert
from remediator.ledger.schema import episode, to_microseconds
from remediator.model.delivery import Alert
from remediator.model.episode_key import EpisodeKey
from remediator.model.target import sanitize

PRIORITIES = ("P0", "P1", "P2", "P3")
# Built once: they are executed at each decision, or each second.
_BY_ID = select(episode).where(episode.c.id == bindparam("identifier"))
_OPEN_BY_KEY = select(episode).where(
    tuple_(episode.c.stack, episode.c.remediation, episode.c.target).in_(bindparam("keys", expanding=True)),
    episode.c.ended_at.is_(None),
)
_CONFIRMATION_TIMES = select(episode.c.id, episode.c.confirmed_at).where(
    episode.c.id.in_(bindparam("identifiers", expanding=True))
)
_INSERT = insert(episode)
_UPDATE = update(episode).where(episode.c.id == bindparam("which"))
_opened_since = episode.c.opened_at > bindparam("opened_since")
_unconfirmed = ~episode.c.confirmed_at.between(bindparam("first"), bindparam("last"))
# The queries of `all_open` by their two filters.
_OPEN = {
    (by_opening, by_confirmation): select(episode)
    .where(episode.c.ended_at.is_(None), *[_opened_since][:by_opening], *[_unconfirmed][:by_confirmation])
    .order_by(episode.c.id)
    for by_opening in (False, True)
    for by_confirmation in (False, True)
}
MAX_KEYS_PER_QUERY = 300  # databases limit the parameters of one statement


@dataclass(frozen=True)
class Episode:
    """A row of the table; `alerts` maps the key of each firing alert to its details."""

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
    def has_alerts(self) -> bool:
        """Whether an alert belongs to it; otherwise it ends with the run that an operator started."""
        return bool(self.alerts)

    @property
    def alert_names(self) -> list[str]:
        """The names of its alerts, sorted; those of the last firing ones once it has ended."""
        return sorted({sanitize(str(entry["labels"].get("alertname", "?"))) for entry in self.alerts.values()})

    @property
    def priority(self) -> str:
        """The highest priority of its alerts, or nothing; any other text than P0 to P3 is no priority."""
        return min((each for entry in self.alerts.values() if (each := _priority(entry))), default="")

    def has_joined_since(self, at: datetime) -> bool:
        """Return whether one of its alerts was first delivered after `at`."""
        limit = to_microseconds(at)
        return any(entry.get("joined", 0) > limit for entry in self.alerts.values())

    @property
    def key(self) -> EpisodeKey:
        """The identity of the episode."""
        return EpisodeKey(self.stack, self.remediation, self.target)


class EpisodeBatch:
    """The open episodes of some keys, while deliveries about them are processed.

    Nearly all deliveries are repetitions, so their updates are collected in memory and written together by `save`.
    """

    def __init__(
        self, connection: AsyncConnection, open_episodes: Mapping[EpisodeKey, Episode], forget_after: timedelta
    ) -> None:
        self._connection = connection
        self._open_episodes = dict(open_episodes)
        self._forget_after = forget_after
        self.cut_alerts = 0
        """Alerts of this batch whose texts were cut."""
        self._changed_keys: set[EpisodeKey] = set()

    async def confirm(self, key: EpisodeKey, firing: Sequence[ReceivedAlert], now: datetime) -> None:
        """Confirm the open episode of firing alerts, or open one."""
        current = self._open_episodes.get(key)
        if current is None:
            alerts = self._count_cut(firing_alerts.merge(firing, {}))
            self._open_episodes[key] = await _open(self._connection, key, firing, alerts, now)
            return
        # Counted from the last confirmation: while nothing was delivered at all, no alert is missing.
        forget_before = current.confirmed_at - self._forget_after
        self._update(
            current,
            confirmed_at=firing[-1].received_at,
            firing_since=_firing_since(firing, current),
            alerts=self._count_cut(firing_alerts.merge(firing, current.alerts, forget_before)),
        )

    def _count_cut(self, alerts: FiringAlerts) -> Mapping[str, Any]:
        self.cut_alerts += alerts.cut
        return alerts.entries

    async def resolve(self, key: EpisodeKey, alerts: Sequence[Alert]) -> Episode | None:
        """Remove resolved alerts; return the episode, for the caller to end, if none still fires."""
        current = self._open_episodes.get(key)
        resolved_keys = {alert.key for alert in alerts if current and _ends_entry(alert, current.alerts.get(alert.key))}
        if current is None or not resolved_keys:
            return None
        still_firing = {name: entry for name, entry in current.alerts.items() if name not in resolved_keys}
        if still_firing:
            self._update(current, alerts=still_firing)
            return None
        await self.save()
        return self._open_episodes.pop(key)

    async def save(self) -> None:
        """Write the collected updates."""
        rows = [_update_parameters(self._open_episodes[key]) for key in self._changed_keys]
        self._changed_keys.clear()
        if rows:
            await self._connection.execute(_UPDATE, rows)

    def _update(self, current: Episode, **columns: Any) -> None:
        self._open_episodes[current.key] = replace(current, **columns)
        self._changed_keys.add(current.key)


def _update_parameters(current: Episode) -> dict[str, Any]:
    return {
        "which": current.id,
        "confirmed_at": current.confirmed_at,
        "firing_since": current.firing_since,
        "alerts": current.alerts,
    }


async def load_batch(
    connection: AsyncConnection, keys: Collection[EpisodeKey], forget_after: timedelta
) -> EpisodeBatch:
    """Load the open episodes of these keys, with one query per MAX_KEYS_PER_QUERY keys.

    An alert that deliveries of its episode have not repeated for `forget_after` is forgotten.
    """
    open_episodes, key_rows = {}, sorted((key.stack, key.remediation, key.target) for key in keys)
    for at in range(0, len(key_rows), MAX_KEYS_PER_QUERY):
        chunk = key_rows[at : at + MAX_KEYS_PER_QUERY]
        for row in await connection.execute(_OPEN_BY_KEY, {"keys": chunk}):
            open_episode = Episode(**row._mapping)
            open_episodes[open_episode.key] = open_episode
    return EpisodeBatch(connection, open_episodes, forget_after)


async def end(connection: AsyncConnection, current: Episode, reason: str, now: datetime) -> None:
    """End the episode with `reason`."""
    await connection.execute(_UPDATE, {"which": current.id, "ended_at": now, "end_reason": reason})
    await audit.append(connection, now, f"episode_{reason}", detail={"episode": current.id})


async def open_without_alerts(connection: AsyncConnection, key: EpisodeKey, now: datetime) -> Episode:
    """Open an episode for a run that no alert starts; it ends with the run, unless an alert joins it."""
    return await _insert(connection, key, {}, now, now, now)


async def open_for(connection: AsyncConnection, key: EpisodeKey) -> Episode | None:
    """Return the only open episode of `key`, or None."""
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
    """Return open episodes, oldest first, optionally filtered."""
    first, last = not_confirmed_between or (None, None)
    bounds = {"opened_since": opened_since, "first": first, "last": last}
    query = _OPEN[opened_since is not None, not_confirmed_between is not None]
    used = {name: value for name, value in bounds.items() if value is not None}
    return [Episode(**row._mapping) for row in await connection.execute(query, used)]


async def count_open(
    connection: AsyncConnection, opened_until: datetime | None = None
) -> Sequence[tuple[str, str, int]]:
    """Count the open episodes per stack and remediation, of all times by default."""
    columns = episode.c.stack, episode.c.remediation
    open_ones = select(*columns, func.count()).where(episode.c.ended_at.is_(None)).group_by(*columns)
    if opened_until is not None:
        open_ones = open_ones.where(episode.c.opened_at <= opened_until)
    rows = await connection.execute(open_ones)
    return [(stack, remediation, number) for stack, remediation, number in rows]


async def confirmation_times(connection: AsyncConnection, identifiers: Collection[int]) -> Mapping[int, datetime]:
    """Return when each of these episodes was last confirmed."""
    rows = await connection.execute(_CONFIRMATION_TIMES, {"identifiers": sorted(set(identifiers))})
    return {row.id: row.confirmed_at for row in rows}


async def get_or_none(connection: AsyncConnection, identifier: int) -> Episode | None:
    """Return the episode with this number, or None."""
    row = (await connection.execute(select(episode).where(episode.c.id == identifier))).one_or_none()
    return None if row is None else Episode(**row._mapping)


async def get(connection: AsyncConnection, identifier: int) -> Episode:
    """Return the episode with this number."""
    row = (await connection.execute(_BY_ID, {"identifier": identifier})).one()
    return Episode(**row._mapping)


async def _open(
    connection: AsyncConnection,
    key: EpisodeKey,
    firing: Sequence[ReceivedAlert],
    alerts: Mapping[str, Any],
    now: datetime,
) -> Episode:
    first, last = firing[0].received_at, firing[-1].received_at
    return await _insert(connection, key, alerts, now, first, last, _firing_since(firing))


async def _insert(
    connection: AsyncConnection,
    key: EpisodeKey,
    alerts: Mapping[str, Any],
    now: datetime,
    delivered_at: datetime,
    confirmed_at: datetime,
    firing_since: datetime | None = None,
) -> Episode:
    names = {"stack": key.stack, "remediation": key.remediation, "target": key.target}
    times = {"opened_at": now, "delivered_at": delivered_at, "confirmed_at": confirmed_at}
    values = {**names, **times, "firing_since": firing_since or now, "alerts": alerts}
    result = await connection.execute(_INSERT, values)
    await audit.append(connection, now, "episode_opened", detail=names)
    assert result.inserted_primary_key is not None  # noqa: S101 - an insert of one row always has one
    return await get(connection, int(result.inserted_primary_key[0]))


def _firing_since(firing: Sequence[ReceivedAlert], current: Episode | None = None) -> datetime:
    """Return when the first alert began to fire; an operator's episode began without any."""
    since = min(each.alert.fires_since(each.received_at) for each in firing)
    return min(since, current.firing_since) if current is not None and current.has_alerts else since


def _priority(entry: Mapping[str, Any]) -> str:
    text = entry["labels"].get("priority", "")
    return text if text in PRIORITIES else ""


def _ends_entry(resolved_alert: Alert, entry: Mapping[str, Any] | None) -> bool:
    """Return whether a resolution ends the firing alert `entry`.

    It does not if it ended before that alert began.

    The resolution's start counts only if it has no end: Alertmanager moves a start back when it merges one alert from
    several Prometheus servers.
    """
    return entry is not None and to_microseconds(resolved_alert.end_time) >= entry.get("started", 0)


async def newest_open(connection: AsyncConnection, limit: int, stack: str | None = None) -> Sequence[Episode]:
    """Return at most `limit` open episodes of `stack`, or of all stacks, newest first."""
    query = select(episode).where(episode.c.ended_at.is_(None)).order_by(episode.c.id.desc()).limit(limit)
    if stack is not None:
        query = query.where(episode.c.stack == stack)
    return [Episode(**row._mapping) for row in await connection.execute(query)]
