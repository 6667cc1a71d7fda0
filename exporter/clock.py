"""The clock of all deadlines: the event loop's own, which no operator and no time server turns."""

import asyncio


def monotonic() -> float:
    """Seconds on the running event loop's clock; only differences of two readings mean something."""
    return asyncio.get_running_loop().time()
