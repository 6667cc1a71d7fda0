"""One connection to a target: made when needed, dropped when something fails, never more than one."""

import asyncio
import time
from contextlib import suppress

from exporter.clock import monotonic
from exporter.collector import Client, Connect, Reading
from exporter.scheduling.backoff import LONGEST_SECONDS, Backoff
from exporter.scheduling.outcome import StillFailing, failure_of

# Closing only says goodbye; a target that is stuck must not keep the gate shut.
CLOSE_SECONDS = 1.0


class ConnectionSlot:
    """The connection of one lane. It is used by one task at a time; the lanes see to that."""

    def __init__(self, connect: Connect, longest_wait: float = LONGEST_SECONDS) -> None:
        self._connect = connect
        self._client: Client | None = None
        self.backoff = Backoff(longest_wait)

    async def read(self, budget: float) -> Reading:
        """Read once, connecting first where necessary. `budget` is the seconds that it may take.

        After a failure, a cancelled reading among them, the connection is not used again: an answer to the old
        question may still be on its way.

        Raises:
            TargetError: the target can not be measured.
            StillFailing: its last failure was a moment ago.
        """
        self._check_backoff()
        try:
            client = await self._ensure_connected(budget)
            reading = await client.read(time.time())
        except BaseException as error:
            self.backoff.record_failure(failure_of(error), monotonic())
            await self.close()
            raise
        self.backoff.record_success()
        return reading

    async def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(Exception):  # it is broken already, and closing says nothing new
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.close()

    async def _ensure_connected(self, budget: float) -> Client:
        if self._client is not None and not self._client.usable:
            await self.close()
        if self._client is None:
            self._client = await self._connect(budget)
        return self._client

    def _check_backoff(self) -> None:
        if self.backoff.failure is not None and self.backoff.must_wait(monotonic()):
            raise StillFailing(self.backoff.failure)
