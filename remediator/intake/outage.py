"""Deliveries that could not be kept: a round that finds nothing to do writes nothing, and notices no full disk."""

import asyncio
from datetime import timedelta


class Outage:
    """Why the last delivery could not be kept; nothing once Alertmanager would have sent it again."""

    def __init__(self, repeat_interval: timedelta) -> None:
        self._duration = 2 * repeat_interval.total_seconds()
        self._until = 0.0
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        return self._reason if asyncio.get_running_loop().time() < self._until else None

    def record_failure(self, reason: str) -> None:
        """A delivery could not be kept."""
        self._reason, self._until = reason, asyncio.get_running_loop().time() + self._duration

    def clear(self) -> None:
        """A delivery is on disk."""
        self._reason = None
