"""The gate between the webhook, which accepts deliveries, and the engine, which processes them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from remediator.shutdown import SHUTDOWN, ShutdownSignal

MAX_DELIVERIES = 10_000  # beyond that the engine is too slow, and Alertmanager's repetitions only add to it


class IntakeGate:
    """Decides whether a delivery is accepted, counts the queue, and keeps the last failure."""

    def __init__(
        self, shutdown: ShutdownSignal, repeat_interval: Callable[[], timedelta], wake: Callable[[], None]
    ) -> None:
        self._shutdown = shutdown
        self._wake = wake
        self._failure: str | None = None
        self._failure_until = 0.0
        self._repeat_interval = repeat_interval
        self.waiting = 0
        """Queued deliveries: those counted at the last round, plus those accepted since."""

    def refusal(self) -> str | None:
        """Return why no delivery is accepted now, or None."""
        if self._shutdown.is_set():
            return SHUTDOWN
        if self.waiting >= MAX_DELIVERIES:
            return f"{self.waiting} deliveries are queued"
        return None

    def accepted(self) -> None:
        """Count a delivery that is on disk, and wake the engine."""
        self._failure = None
        self.waiting += 1
        self._wake()

    def failed(self, reason: str) -> None:
        """Remember why a delivery could not be stored."""
        self._failure = reason
        self._failure_until = asyncio.get_running_loop().time() + 2 * self._repeat_interval().total_seconds()

    @property
    def failure(self) -> str | None:
        """Why the last delivery was not stored; None once Alertmanager must have sent it again.

        An idle engine does not write, so it would not notice a full disk.
        """
        return self._failure if asyncio.get_running_loop().time() < self._failure_until else None
