"""The single connection of a lane: opened when needed, dropped after a failure."""

import asyncio
import time
from contextlib import suppress

from exporter.clock import monotonic
from exporter.collector import Client, Connect, Reading
from exporter.scheduling.backoff import LONGEST_SECONDS, Backoff
from exporter.scheduling.outcome import StillFailing, failure_of

# A target that hangs must not delay the next connection.
CLOSE_SECONDS = 1.0
# A session outlives the right to log in: only a new connection shows that the role was locked or its password changed.
OLDEST_SECONDS = 2700.0
# A server needs a moment to free the slot of a closed connection, and the role's connections may be limited.
RENEWAL_PAUSE_SECONDS = 0.05


class ConnectionSlot:
    """The connection of one lane. The lane ensures that one task at a time uses it."""

    def __init__(self, connect: Connect, longest_wait: float = LONGEST_SECONDS) -> None:
        self._connect = connect
        self._client: Client | None = None
        self._connected_at = 0.0
        self.backoff = Backoff(longest_wait)

    async def read(self, budget: float) -> Reading:
        """Read once within `budget` seconds, connecting first if necessary.

        A failed or cancelled reading drops the connection: an answer to its request may still be on the way.

        Raises:
            TargetError: the target cannot be measured.
            StillFailing: the backoff after its last failure has not passed.
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
        with suppress(Exception):  # the connection is dropped either way
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.close()

    async def _ensure_connected(self, budget: float) -> Client:
        if self._client is not None and not self._client.usable:
            await self.close()
        if self._client is not None and monotonic() - self._connected_at >= OLDEST_SECONDS:
            await self.close()
            await asyncio.sleep(RENEWAL_PAUSE_SECONDS)
        if self._client is None:
            self._client = await self._connect(budget)
            self._connected_at = monotonic()
        return self._client

    def _check_backoff(self) -> None:
        if self.backoff.failure is not None and self.backoff.must_wait(monotonic()):
            raise StillFailing(self.backoff.failure)
