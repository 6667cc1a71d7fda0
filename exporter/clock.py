"""The clock of all deadlines: the event loop's, independent of the system time."""

import asyncio


def monotonic() -> float:
    """Return seconds on the running event loop's clock; only differences are meaningful."""
    return asyncio.get_running_loop().time()
