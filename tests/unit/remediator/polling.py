"""Waits for a condition, however slow the machine."""

import asyncio
from collections.abc import Awaitable, Callable

SECONDS = 60.0


async def becomes(read: Callable[[], Awaitable[object]], expected: object) -> None:
    """Read until the value is as expected; fail with the last value after SECONDS."""
    end = asyncio.get_running_loop().time() + SECONDS
    while (value := await read()) != expected and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert value == expected, f"{value!r} after {SECONDS:.0f} s, not {expected!r}"
