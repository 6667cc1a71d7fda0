"""Polls until a value is good or the time is up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def poll(read: Callable[[], Awaitable[T]], good: Callable[[T], bool], seconds: float, every: float = 0.2) -> T:
    """Return the first good answer of `read`, or its last after `seconds`: check it again."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    answer = await read()
    while not good(answer) and loop.time() < deadline:
        await asyncio.sleep(every)
        answer = await read()
    return answer
