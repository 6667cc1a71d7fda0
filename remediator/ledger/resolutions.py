"""The alerts that were resolved lately.

Alertmanager delivers at least once, and in no order: an alert that fires may arrive after its own end. Its `startsAt`
tells: a firing that began before the end is the old one. The end counts and not the resolution's own start, because
Alertmanager moves a start back when it merges what several Prometheus servers say of one alert. For a while only: after
a gap between Prometheus and Alertmanager the same alert goes on with the same `startsAt`, and then the next repetition
must count.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.episodes import ReceivedAlert
from remediator.ledger.schema import resolution

MAX_KEYS_PER_QUERY = 500  # databases limit the parameters of one statement


@dataclass(frozen=True)
class Resolution:
    """When an alert was over, by its sender's clock, and when we were told of it."""

    ended_at: datetime
    resolved_at: datetime

    def covers(self, firing: ReceivedAlert, span: timedelta) -> bool:
        """Whether `firing` is the alert that was resolved."""
        return firing.alert.started <= self.ended_at and firing.received_at < self.resolved_at + span


class ResolutionBatch:
    """What is known of some alerts' ends, while deliveries about them are worked off."""

    def __init__(self, connection: AsyncConnection, resolutions: Mapping[str, Resolution], span: timedelta) -> None:
        self._connection = connection
        self._resolutions = dict(resolutions)
        self._span = span
        self._changed_keys: set[str] = set()

    def drop_late_firings(self, received_alerts: Iterable[ReceivedAlert]) -> Iterator[ReceivedAlert]:
        """What was heard, without firings that are over; resolutions are noted on the way."""
        for received_alert in received_alerts:
            if received_alert.alert.status == "resolved":
                self._record(received_alert)
            elif (recorded := self._resolutions.get(received_alert.alert.key)) and recorded.covers(
                received_alert, self._span
            ):
                continue
            yield received_alert

    async def save(self) -> None:
        """Write down what was noted."""
        for chunk in _chunks(sorted(self._changed_keys)):
            await self._connection.execute(delete(resolution).where(resolution.c.alert.in_(chunk)))
            rows = [{"alert": name, **asdict(self._resolutions[name])} for name in chunk]
            await self._connection.execute(insert(resolution), rows)

    def _record(self, received_alert: ReceivedAlert) -> None:
        """Of two resolutions of one alert the one that ended later counts."""
        name, ended_at = received_alert.alert.key, received_alert.alert.end_time
        recorded = self._resolutions.get(name)
        if recorded is None or ended_at >= recorded.ended_at:
            self._resolutions[name] = Resolution(ended_at, received_alert.received_at)
            self._changed_keys.add(name)


async def load_batch(connection: AsyncConnection, alerts: Collection[str], span: timedelta) -> ResolutionBatch:
    """What is known of these alerts; for `span` after its end a firing may be a late one."""
    resolutions = {}
    for chunk in _chunks(list(alerts)):
        rows = await connection.execute(select(resolution).where(resolution.c.alert.in_(chunk)))
        resolutions.update({row.alert: Resolution(row.ended_at, row.resolved_at) for row in rows})
    return ResolutionBatch(connection, resolutions, span)


def _chunks(names: list[str]) -> list[list[str]]:
    return [names[at : at + MAX_KEYS_PER_QUERY] for at in range(0, len(names), MAX_KEYS_PER_QUERY)]
