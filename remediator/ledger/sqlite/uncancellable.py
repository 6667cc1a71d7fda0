"""A driver that is not torn by cancellation.

Cancelled in the middle of a statement, SQLAlchemy throws the connection away while the thread behind it still works,
and the file may stay locked until the garbage collector comes by. So every statement is waited for, and whoever was
cancelled learns it when the transaction is over.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite


class _UncancellableFuture(asyncio.Future[Any]):
    """Comes, whatever becomes of the task that waits for it: that one is told of its cancellation afterwards."""

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002
        return False


class UncancellableConnection(aiosqlite.Connection):
    """Waits for every answer of its thread, cancelled or not."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """As aiosqlite's own, but for the kind of future. Everything goes through here, and it has no public name."""
        if not self._running or self._connection is None:
            raise ValueError("Connection closed")
        if _returns_at_once(fn):
            return fn(*args, **kwargs)
        future = _UncancellableFuture()
        self._tx.put_nowait((future, partial(fn, *args, **kwargs)))
        try:
            return await future
        except asyncio.CancelledError:
            return future.result()


def _returns_at_once(fn: Callable[..., Any]) -> bool:
    """To make a cursor, or to close one, takes no time: half of all switches of threads would be for that."""
    name, owner = getattr(fn, "__name__", ""), getattr(fn, "__self__", None)
    return name == "cursor" or (name == "close" and isinstance(owner, sqlite3.Cursor))


def connection_factory(file: Path) -> Callable[[], UncancellableConnection]:
    """What opens another connection to `file`."""

    def connect() -> UncancellableConnection:
        connection = UncancellableConnection(lambda: sqlite3.connect(file, check_same_thread=False), 64)
        connection._thread.daemon = True  # as SQLAlchemy does: an exit must not wait for it
        return connection

    return connect


@asynccontextmanager
async def defer_cancellation() -> AsyncIterator[None]:
    """Raise at the end what the block could not be cancelled with."""
    task = asyncio.current_task()
    cancellations_before = task.cancelling() if task else 0
    yield
    if task is not None and task.cancelling() > cancellations_before:
        raise asyncio.CancelledError
