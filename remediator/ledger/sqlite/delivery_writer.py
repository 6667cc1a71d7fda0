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

LARGEST = 256  # of a group; the writers in between must get their turn
QUICK_SECONDS = 0.002  # a page of metrics takes the loop longer than that
_KEEP = "INSERT INTO delivery (received_at, body) VALUES (?, ?)"
Row = tuple[int, bytes]
Waiting = tuple[Row, asyncio.Future[None]]


class Clerk:
    """What arrives while a commit is under way is committed together, so that a flood costs few of them."""

    def __init__(self, patient: sqlite3.Connection, hasty: sqlite3.Connection, writing: asyncio.Lock) -> None:
        """Take two connections that autocommit, one for any thread and one that never waits, and the writers' lock."""
        self._connection = patient
        self._hasty = hasty
        self._writing = writing
        self._quick = True
        self._waiting: list[Waiting] = []
        self._busy: asyncio.Future[None] | None = None
        self._leading: asyncio.Task[None] | None = None
        self._groups: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="deliveries", daemon=True)
        self._thread.start()

    async def keep(self, row: Row) -> None:
        """Return when `row` is durable.

        Raises:
            LedgerUnavailable: it was not kept.
        """
        loop = asyncio.get_running_loop()
        kept = loop.create_future()
        self._waiting.append((row, kept))
        if self._busy is None:
            self._busy = loop.create_future()
            try:
                await asyncio.sleep(0)  # what has come at the same moment goes with it
            finally:
                self._begin(self._busy)
        await kept

    async def close(self) -> None:
        """Keep what waits, then let the connection go."""
        while self._busy is not None:
            await asyncio.wait([self._busy])
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()
        self._hasty.close()

    def _begin(self, busy: asyncio.Future[None]) -> None:
        if len(self._waiting) == 1 and self._quick and not self._writing.locked() and self._keep_here():
            self._end([self._waiting.pop()], None)
        else:
            self._leading = asyncio.create_task(self._lead(busy), name="deliveries")

    def _keep_here(self) -> bool:
        """Whether it was kept at once; if not, the thread will find out why, or wait until it can be."""
        began = monotonic()
        try:
            self._hasty.execute(_KEEP, self._waiting[0][0])
        except sqlite3.Error:
            return False
        self._quick = monotonic() - began < QUICK_SECONDS
        return True

    async def _lead(self, busy: asyncio.Future[None]) -> None:
        """Hand all that waits to the thread.

        Whoever is cancelled here only lets the lock go early; the database keeps the writers apart as well.
        """
        async with self._writing:
            group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            loop = asyncio.get_running_loop()
            self._groups.put(lambda: _tell(loop, self._end, group, self._commit([row for row, _ in group])))
            await asyncio.shield(busy)

    def _end(self, group: Sequence[Waiting], trouble: Exception | None) -> None:
        """Back in the loop: tell those who wait, and begin with those who came meanwhile."""
        for _, kept in group:
            if kept.done():
                continue
            if trouble is None:
                kept.set_result(None)
            else:
                kept.set_exception(LedgerUnavailable(f"the ledger: {trouble}"))
        busy, self._busy = self._busy, None
        if busy is not None:
            busy.set_result(None)
        if self._waiting:
            self._busy = asyncio.get_running_loop().create_future()
            self._leading = asyncio.create_task(self._lead(self._busy), name="deliveries")

    def _work(self) -> None:
        while (group := self._groups.get()) is not None:
            group()

    def _commit(self, rows: Sequence[Row]) -> Exception | None:
        """In the thread, which has to go on whatever happens."""
        began = monotonic()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_KEEP, rows)
            self._connection.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            return error
        finally:
            self._quick = monotonic() - began < QUICK_SECONDS
        return None

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # what went wrong first says more
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _tell(loop: asyncio.AbstractEventLoop, *call: Any) -> None:
    loop.call_soon_threadsafe(*call)
