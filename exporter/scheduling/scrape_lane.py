"""The scrape lane: one reading at a time, shared by all scrapes that arrive during it."""

import asyncio

from exporter.clock import monotonic
from exporter.collector import ScrapeReading
from exporter.errors import DEADLINE_EXCEEDED
from exporter.scheduling.connection import ConnectionSlot
from exporter.scheduling.outcome import READING_CANCELLED, Failure, ReadingOutcome, failure_of


class ScrapeLane:
    """Reads a target for scrapes. The reading task belongs to the lane, never to a request."""

    def __init__(self, scrape: ScrapeReading, name: str) -> None:
        self._slot = ConnectionSlot(scrape.connect)
        self._name = name
        self._task: asyncio.Task[ReadingOutcome] | None = None
        self._until = 0.0
        self._timeout: asyncio.Timeout | None = None

    async def scrape(self, deadline: float) -> ReadingOutcome:
        """Return an outcome before `deadline` (event loop's clock), joining a reading under way."""
        start = monotonic()
        try:
            async with asyncio.timeout_at(deadline):
                # Shielded: the reading serves others too, and a client that hangs up must not cut the connection.
                return await asyncio.shield(self._join(deadline))
        except TimeoutError:
            return ReadingOutcome(None, Failure(DEADLINE_EXCEEDED, timeout=True), monotonic() - start)

    async def close(self) -> None:
        """End the reading under way and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._slot.close()

    def _join(self, deadline: float) -> "asyncio.Task[ReadingOutcome]":
        """Join the reading under way or start one; it may last until its latest deadline."""
        if self._task is None or self._task.done():
            self._until = deadline
            self._task = asyncio.create_task(self._read(), name=self._name)
        elif deadline > self._until:
            self._until = deadline
            if self._timeout is not None and not self._timeout.expired():
                self._timeout.reschedule(deadline)
        return self._task

    async def _read(self) -> ReadingOutcome:
        start = monotonic()
        try:
            async with asyncio.timeout_at(self._until) as self._timeout:
                reading = await self._slot.read(self._until - start)
        except asyncio.CancelledError:  # by `close` only; requests that wait for this reading get this answer
            return ReadingOutcome(None, Failure(READING_CANCELLED), monotonic() - start)
        except Exception as error:  # whatever it is, it costs this target only
            return ReadingOutcome(None, failure_of(error), monotonic() - start)
        finally:
            self._timeout = None
        return ReadingOutcome(reading, None, monotonic() - start)
