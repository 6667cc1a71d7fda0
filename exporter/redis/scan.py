"""Scans of all keys of a Redis database, in steps too short to disturb the server."""

import asyncio
from collections.abc import AsyncIterator

from exporter.redis.connection import Command, RawConnection

# A step blocks the server, so it must stay well below a millisecond; the pause between two steps is longer than a step.
STEP_KEYS = 500
# Limit for one reading of the prefixes; 100 steps take a quarter of a second.
MOST_STEPS = 400
PAUSE_SECONDS = 0.002


class KeyScan:
    """A scan of the matching keys that can stop at any step and continue later.

    A key that exists from start to end of the scan is returned at least once; the server guarantees no more.
    """

    def __init__(self, *filters: str) -> None:
        self._filters: Command = filters
        self._cursor = b"0"
        self.complete = False
        """Whether the last step ended the scan; the next step starts a new one."""

    async def steps(self, connection: RawConnection, until: float) -> AsyncIterator[list[bytes]]:
        """Yield the keys of each step until the scan ends, or until `until`.

        `until` is on the event loop's clock.

        Raises:
            TargetError: the connection broke, or Redis refused the scan.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._cursor, keys = await connection.execute_one("SCAN", self._cursor, *self._filters, "COUNT", STEP_KEYS)
            self.complete = self._cursor == b"0"
            yield keys
            if self.complete or loop.time() >= until:
                return
            await asyncio.sleep(PAUSE_SECONDS)
