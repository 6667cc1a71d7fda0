"""Finds the episodes about alerts that nothing repairs to which a further alert has come since the last reading."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import episodes
from remediator.ledger.due_episodes import Candidate


class JoinedAlerts:
    """Reads the alerts of an episode once per confirmation, not once per round: they may be many."""

    def __init__(self) -> None:
        self._checked: dict[int, datetime] = {}

    async def among(self, connection: AsyncConnection, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the episodes that an alert has joined since their last run was created."""
        previous, self._checked = self._checked, {each.episode: each.confirmed_at for each in candidates}
        unchecked = [each for each in candidates if previous.get(each.episode) != each.confirmed_at]
        return [each for each in unchecked if await _has_joined(connection, each)]


async def _has_joined(connection: AsyncConnection, candidate: Candidate) -> bool:
    episode = await episodes.get(connection, candidate.episode)
    return candidate.created_at is not None and episode.has_joined_since(candidate.created_at)
