"""Ends episodes that nothing confirms any more and that Alertmanager does not have either."""

from collections import Counter
from collections.abc import Sequence

from remediator.clients.alertmanager import AlertmanagerUnreadable
from remediator.context import World
from remediator.intake.ingest import call_off
from remediator.ledger import episodes
from remediator.ledger.episodes import Episode
from remediator.model.target import keys_of

LOOK_SECONDS = 10.0


class Watch:
    """Looks every LOOK_SECONDS, and counts the looks in a row in which an episode was missing.

    Time alone proves nothing: while the remediator was down, stopped or without its ledger nobody could confirm an
    episode, and an Alertmanager that has just started knows of nothing for a while. So an episode ends when nothing has
    confirmed it for two repeat intervals and it was missing in as many looks as one of them takes.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._looks = world.repeat_interval.total_seconds() / LOOK_SECONDS
        self._missing: Counter[int] = Counter()

    async def look(self) -> None:
        """End what has vanished. Where Alertmanager's address is known but it can not be read, nothing ends."""
        missing = await self._read()
        self._missing = Counter({each.id: self._missing[each.id] + 1 for each in missing})
        now, span = self._world.clock.now(), 2 * self._world.repeat_interval
        for episode in missing:
            if not episode.confirmed_within(span, now) and self._missing[episode.id] > self._looks:
                await _vanish(self._world, episode)

    async def _read(self) -> Sequence[Episode]:
        """The episodes that nothing has confirmed for a repeat interval, and that do not fire."""
        now, span = self._world.clock.now(), self._world.repeat_interval
        async with self._world.ledger.read() as connection:
            quiet = await episodes.all_open(connection, not_confirmed_between=(now - span, now))
        if not quiet or self._world.alertmanager is None:
            return quiet
        try:
            alerts = await self._world.alertmanager.active()
        except AlertmanagerUnreadable:
            return []
        firing = keys_of((alert.labels for alert in alerts), self._world.remediations)
        return [each for each in quiet if each.key not in firing]


async def _vanish(world: World, episode: Episode) -> None:
    async with world.ledger.write() as connection:
        current = await episodes.open_for(connection, episode.key)
        if current is not None and current.confirmed_at == episode.confirmed_at:
            await episodes.end(connection, current, "vanished", world.clock.now())
            await call_off(connection, world, current, "vanished")
