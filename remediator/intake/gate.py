"""The door between the webhook, which takes deliveries, and the engine, which processes them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from remediator.shutdown import SHUTDOWN, ShutdownSignal

MAX_DELIVERIES = 10_000  # at that point something is wrong here, and Alertmanager's repetitions only add to it


class IntakeGate:
    """Whether a delivery may come in now, how many wait to be processed, and why the last one could not be kept."""

    def __init__(self, shutdown: ShutdownSignal, repeat_interval: timedelta, wake: Callable[[], None]) -> None:
        self._shutdown = shutdown
        self._wake = wake
        self._failure: str | None = None
        self._failure_until = 0.0
        self._failure_seconds = 2 * repeat_interval.total_seconds()
        self.waiting = 0
        """Deliveries not processed yet, as far as this process knows: counted at each round, and every one since."""

    def refusal(self) -> str | None:
        """Why no delivery is taken now, or None."""
        if self._shutdown.is_set():
            return SHUTDOWN
        if self.waiting >= MAX_DELIVERIES:
            return f"{self.waiting} deliveries wait to be worked off"
        return None

    def accepted(self) -> None:
        """A delivery is on disk: the engine has something to do."""
        self._failure = None
        self.waiting += 1
        self._wake()

    def failed(self, reason: str) -> None:
        """A delivery could not be kept."""
        self._failure = reason
        self._failure_until = asyncio.get_running_loop().time() + self._failure_seconds

    @property
    def failure(self) -> str | None:
        """Why the last delivery could not be kept; None once Alertmanager would have sent it again.

        An idle engine writes nothing, so it would not notice a full disk.
        """
        return self._failure if asyncio.get_running_loop().time() < self._failure_until else None
