"""Says that the remediator is to stop, and wakes whoever waits."""

import asyncio

SHUTDOWN = "stopping"  # the reason that is given and recorded


class ShutdownSignal:
    """Set once, never taken back."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or until it is time to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
