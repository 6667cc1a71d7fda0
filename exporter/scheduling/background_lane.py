"""The background lane: reads a target at intervals, and keeps the samples for the scrapes."""

import asyncio
import time
from random import uniform

from exporter.clock import monotonic
from exporter.collector import NOT_YET, BackgroundReading
from exporter.scheduling.backoff import LONGEST_SECONDS
from exporter.scheduling.connection import ConnectionSlot
from exporter.scheduling.outcome import Failure, ReadingOutcome, failure_of

# A listing may be slow, but it must not hold its connection forever.
SHORTEST_LIMIT_SECONDS, LONGEST_LIMIT_SECONDS = 10.0, 300.0
# Two scrapes. A reading made every few minutes is not retried every ten seconds: storage bills failed requests, too.
LONGEST_WAIT_SECONDS = 30.0
# Jitter spreads the load of targets on the same server.
JITTER = 0.1


class BackgroundLane:
    """Keeps a target's last good reading, and reports a later failure beside it."""

    def __init__(self, background: BackgroundReading, name: str) -> None:
        self._period = background.refresh.total_seconds()
        self._slot = ConnectionSlot(background.connect, min(max(self._period, LONGEST_SECONDS), LONGEST_WAIT_SECONDS))
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self.outcome = ReadingOutcome(None, Failure(NOT_YET), 0.0)
        self.succeeded_at: float | None = None
        """Seconds since 1970."""

    def start(self) -> None:
        """Start to read in the background, unless started already."""
        if self._task is not None:
            return
        self._task = asyncio.create_task(self._run_forever(), name=self._name)

    async def close(self) -> None:
        """End the reading under way and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._slot.close()

    async def _run_forever(self) -> None:
        while True:
            self.outcome = await self._read()
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        if self.outcome.failure is not None:
            return self._slot.backoff.wait
        return self._period * uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load and protects nothing

    async def _read(self) -> ReadingOutcome:
        start = monotonic()
        reading, failure = self.outcome.reading, None
        try:
            limit = min(max(self._period, SHORTEST_LIMIT_SECONDS), LONGEST_LIMIT_SECONDS)
            async with asyncio.timeout(limit):
                reading = await self._slot.read(limit)
            self.succeeded_at = time.time()
        except Exception as error:  # whatever it is, it costs this target only
            failure = failure_of(error)
        finally:
            # Readings may be minutes apart; an idle connection would take a slot from others.
            await self._slot.close()
        return ReadingOutcome(reading, failure, monotonic() - start)
