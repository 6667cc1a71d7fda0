"""Writes deliveries to a SQLite ledger: a thread commits all pending ones together."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from remediator.model.errors import LedgerUnavailable

MAX_GROUP = 256  # deliveries per commit; other writers take turns between commits
_INSERT = "INSERT INTO delivery (received_at, body) VALUES (?, ?)"
DeliveryRow = tuple[int, bytes]
PendingDelivery = tuple[DeliveryRow, asyncio.Future[None]]


class DeliveryWriter:
    """The only writer of deliveries.

    Those received during a commit share the next, so a flood takes few commits.
    """

    def __init__(
        self, connection: sqlite3.Connection, write_lock: asyncio.Lock, fault: Callable[[], str | None]
    ) -> None:
        """Take an autocommit connection, the lock of all writers, and the check of a commit."""
        self._connection = connection
        self._write_lock = write_lock
        self._fault = fault
        self._pending: list[PendingDelivery] = []
        self._task: asyncio.Task[None] | None = None
        # Not an executor, whose overhead is a fifth of the time of a commit.
        self._groups: SimpleQueue[tuple[Sequence[PendingDelivery], asyncio.Future[None]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run_thread, name="deliveries", daemon=True)
        self._thread.start()

    async def write(self, row: DeliveryRow) -> None:
        """Write `row` and return when it is durable.

        Raises:
            LedgerUnavailable: the row was not stored.
        """
        future = asyncio.get_running_loop().create_future()
        self._pending.append((row, future))
        self._start_task()
        await future

    async def close(self) -> None:
        """Write the pending deliveries, then close the connection."""
        while self._task is not None:
            await asyncio.wait([self._task])
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _start_task(self) -> None:
        if self._task is None and self._pending:
            self._task = asyncio.create_task(self._write_pending(), name="deliveries")
            self._task.add_done_callback(self._replace_task)

    def _replace_task(self, _: asyncio.Task[None]) -> None:
        """Start a task for deliveries left by a cancelled one."""
        self._task = None
        self._start_task()

    async def _write_pending(self) -> None:
        """Commit group after group until none is pending.

        Cancellation releases the lock early, but the commit continues; the database still separates the writers.
        """
        while self._pending:
            async with self._write_lock:
                await asyncio.wait([self._hand_over()])

    def _hand_over(self) -> asyncio.Future[None]:
        """Hand a group to the thread; return a future that is done when the group has its answer."""
        group, self._pending = self._pending[:MAX_GROUP], self._pending[MAX_GROUP:]
        answered = asyncio.get_running_loop().create_future()
        self._groups.put((group, answered))
        return answered

    def _run_thread(self) -> None:
        while (handed_over := self._groups.get()) is not None:
            group, answered = handed_over
            error = self._commit([row for row, _ in group])
            answered.get_loop().call_soon_threadsafe(_answer_group, group, error, answered)

    def _commit(self, rows: Sequence[DeliveryRow]) -> Exception | None:
        """Commit `rows` together; return the error, if any, because the thread must go on.

        After a fault they may have been committed, but to a file that the next start does not find.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_INSERT, rows)
            self._connection.execute("COMMIT")
            fault = self._fault()
        except Exception as error:
            self._roll_back()
            return error
        return LedgerUnavailable(fault) if fault is not None else None

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # the first error says more
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _answer_group(group: Sequence[PendingDelivery], error: Exception | None, answered: asyncio.Future[None]) -> None:
    """Resolve the futures of a group, in the event loop; a cancelled caller no longer waits."""
    for _, future in group:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(LedgerUnavailable(f"the ledger: {error}"))
    answered.set_result(None)
