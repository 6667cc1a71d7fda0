"""Ends episodes that no delivery confirms and that Alertmanager no longer lists."""

from collections import Counter
from collections.abc import Sequence

import structlog

from remediator.clients.alertmanager import AlertmanagerUnreadable
from remediator.context import LeaderContext
from remediator.intake.episode_end import end_episode
from remediator.ledger import episodes
from remediator.ledger.episodes import Episode
from remediator.model.clock import is_recent
from remediator.model.target import keys_of

CHECK_SECONDS = 10.0
log = structlog.get_logger(__name__)


class VanishedEpisodeDetector:
    """Counts the consecutive checks, one per CHECK_SECONDS, in which an episode was missing.

    Time alone proves nothing: while the remediator was down or without its ledger, no delivery could confirm an
    episode, and an Alertmanager that has just started lists no alerts for a while. So an episode ends only if no
    delivery has confirmed it for two repeat intervals and it was missing in every check for one interval.
    """

    def __init__(self, context: LeaderContext) -> None:
        self._context = context
        self._missed_checks: Counter[int] = Counter()
        self._problem = ""
        """Why Alertmanager cannot be read."""

    async def check(self) -> None:
        """End vanished episodes, or none if Alertmanager is configured but cannot be read."""
        missing_episodes = await self._read_missing()
        self._missed_checks = Counter({each.id: self._missed_checks[each.id] + 1 for each in missing_episodes})
        now, span = self._context.clock.now(), 2 * self._context.repeat_interval
        required_checks = self._context.repeat_interval.total_seconds() / CHECK_SECONDS
        for episode in missing_episodes:
            is_confirmed = is_recent(episode.confirmed_at, span, now)
            if not is_confirmed and self._missed_checks[episode.id] > required_checks:
                await _end_vanished(self._context, episode)

    async def _read_missing(self) -> Sequence[Episode]:
        """Return the episodes that do not fire and were not confirmed for a repeat interval."""
        now, span = self._context.clock.now(), self._context.repeat_interval
        async with self._context.ledger.read() as connection:
            unconfirmed_episodes = await episodes.all_open(connection, not_confirmed_between=(now - span, now))
        unconfirmed_episodes = [each for each in unconfirmed_episodes if each.has_alerts]
        if not unconfirmed_episodes or self._context.alertmanager is None:
            return unconfirmed_episodes
        try:
            alerts = await self._context.alertmanager.active()
        except AlertmanagerUnreadable as error:
            self._log_problem(str(error))
            return []
        self._log_problem("")
        firing_keys = keys_of((alert.labels for alert in alerts), self._context.remediations)
        return [each for each in unconfirmed_episodes if each.key not in firing_keys]

    def _log_problem(self, problem: str) -> None:
        """Log an outage once, and its end."""
        if problem and not self._problem:
            log.warning("no episode ends without its resolution while Alertmanager is unreadable", problem=problem)
        elif self._problem and not problem:
            log.info("Alertmanager can be read again")
        self._problem = problem


async def _end_vanished(context: LeaderContext, episode: Episode) -> None:
    async with context.ledger.write() as connection:
        current = await episodes.open_for(connection, episode.key)
        if current is not None and current.confirmed_at == episode.confirmed_at:
            await end_episode(connection, context, current, "vanished")
