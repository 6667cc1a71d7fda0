"""Keeps deliveries in a SQLite ledger: one commit for all that wait, in a thread of its own.

A delivery that comes alone is committed in the event loop while the disk is quick, because handing it to the thread
and back takes as long as the commit itself. Whatever may take time (a slow disk, another writer, trouble) is the
thread's: a loop waits once, for one commit, when a disk becomes slow.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

from remediator.model.errors import LedgerUnavailable

MAX_GROUP = 256  # of a group; the writers in between must get their turn
QUICK_SECONDS = 0.002  # a page of metrics takes the loop longer than that
_INSERT = "INSERT INTO delivery (received_at, body) VALUES (?, ?)"
DeliveryRow = tuple[int, bytes]
PendingDelivery = tuple[DeliveryRow, asyncio.Future[None]]


class DeliveryWriter:
    """What arrives while a commit is under way is committed together, so that a flood costs few of them."""

    def __init__(
        self, blocking_connection: sqlite3.Connection, nowait_connection: sqlite3.Connection, write_lock: asyncio.Lock
    ) -> None:
        """Take two connections that autocommit, one for any thread and one that never waits, and the writers' lock."""
        self._blocking_connection = blocking_connection
        self._nowait_connection = nowait_connection
        self._write_lock = write_lock
        self._quick = True
        self._pending: list[PendingDelivery] = []
        self._busy: asyncio.Future[None] | None = None
        self._hand_over_task: asyncio.Task[None] | None = None
        self._groups: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._run_thread, name="deliveries", daemon=True)
        self._thread.start()

    async def write(self, row: DeliveryRow) -> None:
        """Return when `row` is durable.

        Raises:
            LedgerUnavailable: it was not kept.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._pending.append((row, future))
        if self._busy is None:
            self._busy = loop.create_future()
            try:
                await asyncio.sleep(0)  # what has come at the same moment goes with it
            finally:
                self._start(self._busy)
        await future

    async def close(self) -> None:
        """Keep what waits, then let the connection go."""
        while self._busy is not None:
            await asyncio.wait([self._busy])
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join)
        self._blocking_connection.close()
        self._nowait_connection.close()

    def _start(self, busy: asyncio.Future[None]) -> None:
        if len(self._pending) == 1 and self._quick and not self._write_lock.locked() and self._write_inline():
            self._finish_group([self._pending.pop()], None)
        else:
            self._hand_over_task = asyncio.create_task(self._hand_over(busy), name="deliveries")

    def _write_inline(self) -> bool:
        """Whether it was kept at once; if not, the thread will find out why, or wait until it can be."""
        started_at = monotonic()
        try:
            self._nowait_connection.execute(_INSERT, self._pending[0][0])
        except sqlite3.Error:
            return False
        self._quick = monotonic() - started_at < QUICK_SECONDS
        return True

    async def _hand_over(self, busy: asyncio.Future[None]) -> None:
        """Hand all that waits to the thread.

        Whoever is cancelled here only lets the lock go early; the database keeps the writers apart as well.
        """
        async with self._write_lock:
            group, self._pending = self._pending[:MAX_GROUP], self._pending[MAX_GROUP:]
            loop = asyncio.get_running_loop()
            self._groups.put(
                lambda: _call_in_loop(loop, self._finish_group, group, self._commit([row for row, _ in group]))
            )
            await asyncio.shield(busy)

    def _finish_group(self, group: Sequence[PendingDelivery], error: Exception | None) -> None:
        """Back in the loop: tell those who wait, and begin with those who came meanwhile."""
        for _, future in group:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(LedgerUnavailable(f"the ledger: {error}"))
        busy, self._busy = self._busy, None
        if busy is not None:
            busy.set_result(None)
        if self._pending:
            self._busy = asyncio.get_running_loop().create_future()
            self._hand_over_task = asyncio.create_task(self._hand_over(self._busy), name="deliveries")

    def _run_thread(self) -> None:
        while (group := self._groups.get()) is not None:
            group()

    def _commit(self, rows: Sequence[DeliveryRow]) -> Exception | None:
        """In the thread, which has to go on whatever happens."""
        started_at = monotonic()
        try:
            self._blocking_connection.execute("BEGIN IMMEDIATE")
            self._blocking_connection.executemany(_INSERT, rows)
            self._blocking_connection.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            return error
        finally:
            self._quick = monotonic() - started_at < QUICK_SECONDS
        return None

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # what went wrong first says more
            if self._blocking_connection.in_transaction:
                self._blocking_connection.execute("ROLLBACK")


def _call_in_loop(loop: asyncio.AbstractEventLoop, *call: Any) -> None:
    loop.call_soon_threadsafe(*call)
