"""Walks over all keys of a Redis database, in the background, in steps that the server hardly notices."""

import asyncio
from collections.abc import AsyncIterator

from exporter.redis.connection import Command, RawConnection

# A step keeps the server from everything else, so it has to stay well below a millisecond; between two steps others
# have their turn for longer than the step took.
STEP_KEYS = 500
# What one reading of the prefixes looks at, at the most; 100 steps take a quarter of a second.
MOST_STEPS = 400
PAUSE_SECONDS = 0.002


class KeyScan:
    """A walk over the keys that match, to be left at any step and gone on with later.

    A key that is there from the start to the end of the walk comes up at least once; the server promises no more.
    """

    def __init__(self, *filters: str) -> None:
        self._filters: Command = filters
        self._cursor = b"0"
        self.complete = False
        """Whether the last step was the end of the walk; the next one begins a new walk."""

    async def steps(self, connection: RawConnection, until: float) -> AsyncIterator[list[bytes]]:
        """Yield the keys of each step up to the end of the walk, or up to a point in time (event loop's clock).

        Raises:
            TargetError: the connection broke, or the walk was refused.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._cursor, keys = await connection.execute_one("SCAN", self._cursor, *self._filters, "COUNT", STEP_KEYS)
            self.complete = self._cursor == b"0"
            yield keys
            if self.complete or loop.time() >= until:
                return
            await asyncio.sleep(PAUSE_SECONDS)
