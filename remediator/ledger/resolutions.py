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

from remediator.ledger.episodes import Heard
from remediator.ledger.schema import resolution

ASKED_AT_ONCE = 500  # databases limit the parameters of one statement


@dataclass(frozen=True)
class Resolution:
    """When an alert was over, by its sender's clock, and when we were told of it."""

    ended_at: datetime
    resolved_at: datetime

    def covers(self, firing: Heard, span: timedelta) -> bool:
        """Whether `firing` is the alert that was resolved."""
        return firing.alert.started <= self.ended_at and firing.received < self.resolved_at + span


class Memory:
    """What is known of some alerts' ends, while deliveries about them are worked off."""

    def __init__(self, connection: AsyncConnection, known: Mapping[str, Resolution], span: timedelta) -> None:
        self._connection = connection
        self._known = dict(known)
        self._span = span
        self._fresh: set[str] = set()

    def news(self, heard: Iterable[Heard]) -> Iterator[Heard]:
        """What was heard, without firings that are over; resolutions are noted on the way."""
        for each in heard:
            if each.alert.status == "resolved":
                self._note(each)
            elif (known := self._known.get(each.alert.key)) and known.covers(each, self._span):
                continue
            yield each

    async def keep(self) -> None:
        """Write down what was noted."""
        for some in _chunks(sorted(self._fresh)):
            await self._connection.execute(delete(resolution).where(resolution.c.alert.in_(some)))
            rows = [{"alert": name, **asdict(self._known[name])} for name in some]
            await self._connection.execute(insert(resolution), rows)

    def _note(self, ended: Heard) -> None:
        """Of two resolutions of one alert the one that ended later counts."""
        name, over = ended.alert.key, ended.alert.over
        known = self._known.get(name)
        if known is None or over >= known.ended_at:
            self._known[name] = Resolution(over, ended.received)
            self._fresh.add(name)


async def memory(connection: AsyncConnection, alerts: Collection[str], span: timedelta) -> Memory:
    """What is known of these alerts; for `span` after its end a firing may be a late one."""
    known = {}
    for some in _chunks(list(alerts)):
        rows = await connection.execute(select(resolution).where(resolution.c.alert.in_(some)))
        known.update({row.alert: Resolution(row.ended_at, row.resolved_at) for row in rows})
    return Memory(connection, known, span)


def _chunks(names: list[str]) -> list[list[str]]:
    return [names[at : at + ASKED_AT_ONCE] for at in range(0, len(names), ASKED_AT_ONCE)]
