"""Waits for what must not be cancelled half-way, and raises the cancellation afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

Result = TypeVar("Result")


async def wait_for_result(future: asyncio.Future[Result]) -> Result:
    """Return the result of `future`, even if this task is cancelled; see `defer_cancellation`."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    return future.result()


@asynccontextmanager
async def defer_cancellation() -> AsyncIterator[None]:
    """Raise a cancellation that arrives in the block when the block ends."""
    task = asyncio.current_task()
    cancellations_before = task.cancelling() if task else 0
    error = None
    try:
        yield
    except Exception as raised:
        error = raised
    if task is not None and task.cancelling() > cancellations_before:
        raise asyncio.CancelledError from error
    if error is not None:
        raise error
