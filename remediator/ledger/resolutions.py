"""The recently resolved alerts, by which late duplicates are recognized.

Alertmanager delivers at least once and in any order, so a firing alert may arrive after its own resolution. A firing
whose `startsAt` lies before the recorded end is such a duplicate. The end decides, not the resolution's start, because
Alertmanager moves a start back when it merges one alert from several Prometheus servers. A record counts for a limited
time: after a gap between Prometheus and Alertmanager the same alert resumes with the same `startsAt`, and its next
repetition must count.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.firing_alerts import ReceivedAlert
from remediator.ledger.schema import resolution

MAX_KEYS_PER_QUERY = 500  # databases limit the parameters of one statement
# Built once: they are executed for each batch of deliveries.
_is_one_of = resolution.c.alert.in_(bindparam("alerts", expanding=True))
_BY_ALERT, _DELETE, _INSERT = (
    select(resolution).where(_is_one_of),
    delete(resolution).where(_is_one_of),
    insert(resolution),
)


@dataclass(frozen=True)
class Resolution:
    """The end of an alert by its sender's clock, and when the resolution was received."""

    ended_at: datetime
    resolved_at: datetime

    def covers(self, firing: ReceivedAlert, span: timedelta) -> bool:
        """Return whether `firing` is a late duplicate of the resolved alert."""
        return firing.alert.started <= self.ended_at and firing.received_at < self.resolved_at + span


class ResolutionBatch:
    """The recorded resolutions of some alerts, while deliveries about them are processed."""

    def __init__(self, connection: AsyncConnection, resolutions: Mapping[str, Resolution], span: timedelta) -> None:
        self._connection = connection
        self._resolutions = dict(resolutions)
        self._span = span
        self._changed_keys: set[str] = set()

    def drop_late_firings(self, received_alerts: Iterable[ReceivedAlert]) -> Iterator[ReceivedAlert]:
        """Yield the alerts without late duplicates, recording their resolutions."""
        for received_alert in received_alerts:
            if received_alert.alert.status == "resolved":
                self._record(received_alert)
            elif (recorded := self._resolutions.get(received_alert.alert.key)) and recorded.covers(
                received_alert, self._span
            ):
                continue
            yield received_alert

    async def save(self) -> None:
        """Write the recorded resolutions."""
        for chunk in _chunks(sorted(self._changed_keys)):
            await self._connection.execute(_DELETE, {"alerts": chunk})
            rows = [{"alert": name, **asdict(self._resolutions[name])} for name in chunk]
            await self._connection.execute(_INSERT, rows)

    def _record(self, received_alert: ReceivedAlert) -> None:
        """Record a resolution, unless a later end of the same alert is known."""
        name, ended_at = received_alert.alert.key, received_alert.alert.end_time
        recorded = self._resolutions.get(name)
        if recorded is None or ended_at >= recorded.ended_at:
            self._resolutions[name] = Resolution(ended_at, received_alert.received_at)
            self._changed_keys.add(name)


async def load_batch(connection: AsyncConnection, alerts: Collection[str], span: timedelta) -> ResolutionBatch:
    """Load the resolutions of these alerts, which count for `span` after their receipt."""
    resolutions = {}
    for chunk in _chunks(list(alerts)):
        rows = await connection.execute(_BY_ALERT, {"alerts": chunk})
        resolutions.update({row.alert: Resolution(row.ended_at, row.resolved_at) for row in rows})
    return ResolutionBatch(connection, resolutions, span)


def _chunks(names: list[str]) -> list[list[str]]:
    return [names[at : at + MAX_KEYS_PER_QUERY] for at in range(0, len(names), MAX_KEYS_PER_QUERY)]
