"""The fast lane: one reading at a time, shared by all scrapes that come while it is under way."""

import asyncio

from exporter.collector import Connect
from exporter.errors import LATE
from exporter.scheduling.connection import Link
from exporter.scheduling.outcome import CLOSED, Failure, Outcome, failure_of


class FastLane:
    """Reads a target for scrapes. The task that reads belongs to the lane, never to a request."""

    def __init__(self, connect: Connect, name: str) -> None:
        self._link = Link(connect)
        self._name = name
        self._task: asyncio.Task[Outcome] | None = None
        self._until = 0.0
        self._limit: asyncio.Timeout | None = None

    async def scrape(self, deadline: float) -> Outcome:
        """Return an outcome before `deadline` (event loop's clock), joining a reading that is under way."""
        began = _now()
        try:
            async with asyncio.timeout_at(deadline):
                # Shielded: the reading serves others too, and a client that hangs up must not cut the connection.
                return await asyncio.shield(self._join(deadline))
        except TimeoutError:
            return Outcome(None, Failure(LATE, timeout=True), _now() - began)

    async def close(self) -> None:
        """End the reading under way and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._link.close()

    def _join(self, deadline: float) -> "asyncio.Task[Outcome]":
        """The reading under way, or a new one. It may last as long as the most patient of those who wait for it."""
        if self._task is None or self._task.done():
            self._until = deadline
            self._task = asyncio.create_task(self._read(), name=self._name)
        elif deadline > self._until:
            self._until = deadline
            if self._limit is not None and not self._limit.expired():
                self._limit.reschedule(deadline)
        return self._task

    async def _read(self) -> Outcome:
        began = _now()
        try:
            async with asyncio.timeout_at(self._until) as self._limit:
                reading = await self._link.read(self._until - began)
        except asyncio.CancelledError:  # by `close` alone; whoever still waits for this reading gets an answer
            return Outcome(None, Failure(CLOSED), _now() - began)
        except Exception as error:  # whatever it is, it costs this target only
            return Outcome(None, failure_of(error), _now() - began)
        finally:
            self._limit = None
        return Outcome(reading, None, _now() - began)


def _now() -> float:
    return asyncio.get_running_loop().time()
