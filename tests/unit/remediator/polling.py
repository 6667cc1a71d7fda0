"""Waits for what comes true in a moment, however slow the machine."""

import asyncio
from collections.abc import Awaitable, Callable

SECONDS = 20.0


async def becomes(look: Callable[[], Awaitable[object]], expected: object) -> None:
    """Look until it is as expected; fails with what it was last."""
    end = asyncio.get_running_loop().time() + SECONDS
    while (value := await look()) != expected and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert value == expected
