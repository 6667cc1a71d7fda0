"""Stores deliveries in a PostgreSQL ledger: all pending ones share a commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from remediator.model.errors import LedgerUnavailable

MAX_GROUP = 256  # deliveries per commit
DeliveryRow = dict[str, Any]
PendingDelivery = tuple[DeliveryRow, asyncio.Future[None]]


class DeliveryWriter:
    """The task that stores the deliveries of this process; those that come during a commit share the next one."""

    def __init__(self, store: Callable[[Sequence[DeliveryRow]], Awaitable[None]]) -> None:
        """Take the function that commits rows together."""
        self._store = store
        self._pending: list[PendingDelivery] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, received_at: datetime, body: bytes) -> None:
        """Store a delivery and return when it is durable.

        Raises:
            LedgerUnavailable: whether it was stored is unknown; its sender delivers it again.
        """
        future = asyncio.get_running_loop().create_future()
        self._pending.append(({"received_at": received_at, "body": body}, future))
        self._start_task()
        await future

    async def close(self) -> None:
        """Store the pending deliveries."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _start_task(self) -> None:
        if self._task is None and self._pending:
            self._task = asyncio.create_task(self._write_pending(), name="deliveries")
            self._task.add_done_callback(self._replace_task)

    def _replace_task(self, _: asyncio.Task[None]) -> None:
        """Start a task for deliveries left by a cancelled one."""
        self._task = None
        self._start_task()

    async def _write_pending(self) -> None:
        while self._pending:
            group, self._pending = self._pending[:MAX_GROUP], self._pending[MAX_GROUP:]
            try:
                await self._store([row for row, _ in group])
            except Exception as error:
                _answer(group, error)
            except BaseException:  # cancelled
                _answer(group, LedgerUnavailable("the ledger: the delivery was interrupted"))
                raise
            else:
                _answer(group, None)


def _answer(group: Sequence[PendingDelivery], error: Exception | None) -> None:
    """Resolve the futures of a group; a cancelled caller no longer waits."""
    for _, future in group:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
