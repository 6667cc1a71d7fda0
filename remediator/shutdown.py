"""The signal that stops the remediator and wakes the tasks that sleep."""

import asyncio

SHUTDOWN = "stopping"  # the reason in answers and in the record


class ShutdownSignal:
    """A request to stop. It is set once and never cleared."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Request the shutdown."""
        self._event.set()

    def is_set(self) -> bool:
        """Return whether the shutdown was requested."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until the shutdown is requested."""
        await self._event.wait()

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`, or until the shutdown is requested."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
