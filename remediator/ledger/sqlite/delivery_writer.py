"""Keeps deliveries in a SQLite ledger: a thread of its own commits together all that wait."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from remediator.model.errors import LedgerUnavailable

MAX_GROUP = 256  # deliveries per commit; the writers in between must get their turn
_INSERT = "INSERT INTO delivery (received_at, body) VALUES (?, ?)"
DeliveryRow = tuple[int, bytes]
PendingDelivery = tuple[DeliveryRow, asyncio.Future[None]]


class DeliveryWriter:
    """The one writer of deliveries. Those that arrive during a commit share the next one, so a flood costs few."""

    def __init__(
        self, connection: sqlite3.Connection, write_lock: asyncio.Lock, fault: Callable[[], str | None]
    ) -> None:
        """Take a connection that autocommits, the lock of all writers, and what says why a commit does not count."""
        self._connection = connection
        self._write_lock = write_lock
        self._fault = fault
        self._pending: list[PendingDelivery] = []
        self._task: asyncio.Task[None] | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="deliveries")

    async def write(self, row: DeliveryRow) -> None:
        """Return when `row` is durable.

        Raises:
            LedgerUnavailable: it was not kept.
        """
        future = asyncio.get_running_loop().create_future()
        self._pending.append((row, future))
        if self._task is None:
            self._task = asyncio.create_task(self._write_pending(), name="deliveries")
        await future

    async def close(self) -> None:
        """Keep what waits, then let the connection go."""
        if self._task is not None:
            await asyncio.wait([self._task])
        await asyncio.get_running_loop().run_in_executor(self._executor, self._connection.close)
        self._executor.shutdown(wait=False)

    async def _write_pending(self) -> None:
        """Commit group after group until none waits.

        A cancellation only lets the lock go early: the commit goes on, and the database keeps the writers apart too.
        """
        try:
            while self._pending:
                async with self._write_lock:
                    await asyncio.wait([self._start_commit()])
        finally:
            self._task = None

    def _start_commit(self) -> asyncio.Future[None]:
        group, self._pending = self._pending[:MAX_GROUP], self._pending[MAX_GROUP:]
        rows = [row for row, _ in group]
        commit = asyncio.get_running_loop().run_in_executor(self._executor, self._commit, rows)
        commit.add_done_callback(partial(_finish_group, group))
        return commit

    def _commit(self, rows: Sequence[DeliveryRow]) -> None:
        """Commit `rows` together, in the thread.

        Raises:
            LedgerUnavailable: they may have been committed, but to a file that the next start does not find.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_INSERT, rows)
            self._connection.execute("COMMIT")
        except Exception:
            self._roll_back()
            raise
        fault = self._fault()
        if fault is not None:
            raise LedgerUnavailable(fault)

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # what went wrong first says more
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _finish_group(group: Sequence[PendingDelivery], commit: asyncio.Future[None]) -> None:
    """Answer those who wait for `commit`; whoever was cancelled does not wait any more."""
    error = commit.exception()
    for _, future in group:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(LedgerUnavailable(f"the ledger: {error}"))
