"""Threads per contact, so that a service whose answer never ends blocks no other contact."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Semaphore
from typing import Any

THREADS = 20  # concurrent messages per contact


class ContactThreads:
    """The threads of one contact."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._free = Semaphore(THREADS)

    async def call(self, work: Callable[[], Any]) -> Any:
        """Start `work` at once or not at all.

        After waiting for a thread, its message could be out of date.

        Raises:
            TimeoutError: no thread is free.
        """
        if not self._free.acquire(blocking=False):
            raise TimeoutError("it is still busy with earlier messages")
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(future)


threads_of = cache(ContactThreads)  # by contact
