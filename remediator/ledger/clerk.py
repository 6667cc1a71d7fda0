"""Keeps deliveries in a SQLite ledger: a thread and a connection of its own, and one commit for all that wait."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any

from remediator.errors import LedgerUnavailable

LARGEST = 256  # of a group; the writers in between must get their turn
_KEEP = "INSERT INTO delivery (received_at, body) VALUES (?, ?)"
Row = tuple[int, bytes]
Waiting = tuple[Row, asyncio.Future[None]]


class Clerk:
    """What arrives while a commit is under way is committed together, so that a flood costs few of them."""

    def __init__(self, connection: sqlite3.Connection, writing: asyncio.Lock) -> None:
        """Take a connection that autocommits and that any thread may use, and the writers' lock."""
        self._connection = connection
        self._writing = writing
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
        kept = asyncio.get_running_loop().create_future()
        self._waiting.append((row, kept))
        if self._busy is None:
            await self._begin()
        await kept

    async def close(self) -> None:
        """Keep what waits, then let the connection go."""
        while self._busy is not None:
            await asyncio.wait([self._busy])
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    async def _begin(self) -> None:
        """Without a switch of tasks where nobody else writes: that is most of what keeping one delivery costs."""
        self._busy = asyncio.get_running_loop().create_future()
        if self._writing.locked():
            self._leading = asyncio.create_task(self._lead(self._busy), name="deliveries")
        else:
            await self._lead(self._busy)

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
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_KEEP, rows)
            self._connection.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            return error
        return None

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # what went wrong first says more
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _tell(loop: asyncio.AbstractEventLoop, *call: Any) -> None:
    loop.call_soon_threadsafe(*call)
