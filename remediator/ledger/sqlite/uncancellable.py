"""A connection whose statements finish despite cancellation.

If a task is cancelled during a statement, SQLAlchemy discards the connection while its thread still works, and the file
may stay locked until then. So the task waits for each statement, and is cancelled after the transaction instead.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

from remediator.ledger.cancellation import wait_for_result


class UncancellableConnection:
    """A SQLite connection and its thread, as SQLAlchemy's aiosqlite dialect calls it.

    aiosqlite's own connection could be made to wait only through private attributes.
    """

    def __init__(self, connection: sqlite3.Connection, executor: ThreadPoolExecutor) -> None:
        self._connection, self._executor = connection, executor  # the dialect requires `_connection`

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call `function` in the thread, and wait for it even if cancelled."""
        return await wait_for_result(asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments))

    def cursor(self) -> "UncancellableCursor":
        """Return a new cursor."""
        return UncancellableCursor(self, self._connection.cursor())

    async def create_function(self, *arguments: Any, **options: Any) -> None:
        """Register an SQL function."""
        self._connection.create_function(*arguments, **options)

    async def commit(self) -> None:
        """Commit the transaction."""
        await self.run(self._connection.commit)

    async def rollback(self) -> None:
        """Roll back the transaction, if it is still open."""
        if self._connection.in_transaction:
            await self.run(self._connection.rollback)

    async def close(self) -> None:
        """Close the connection and end its thread."""
        await self.run(self._connection.close)
        self._executor.shutdown(wait=False)

    def stop(self) -> None:
        """Close without waiting; SQLAlchemy calls this for a connection that it discards."""
        with suppress(RuntimeError):  # already closed
            self._executor.submit(self._connection.close)
        self._executor.shutdown(wait=False)


class StatementRunner(Protocol):
    """A connection that calls the functions of its cursors where it has to."""

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call `function`."""


class UncancellableCursor:
    """A cursor that executes a statement and fetches all rows in one call of its connection."""

    def __init__(self, connection: StatementRunner, cursor: sqlite3.Cursor) -> None:
        self._connection, self._cursor = connection, cursor
        self._rows: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)  # description, rowcount, lastrowid

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Execute a statement and fetch its rows."""
        self._rows = await self._connection.run(self._fetch, statement, parameters)

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        return self._cursor.execute(statement, parameters).fetchall()

    async def executemany(self, statement: str, parameters: Sequence[Any]) -> None:
        """Execute a statement for several sets of parameters."""
        await self._connection.run(self._cursor.executemany, statement, parameters)

    async def fetchall(self) -> list[Any]:
        """Return the rows of the last statement."""
        return self._rows

    async def close(self) -> None:
        """Close the cursor."""
        self._cursor.close()


def connection_factory(file: Path) -> Callable[[], Awaitable[UncancellableConnection]]:
    """Return the function that opens a connection to `file`."""

    async def connect() -> UncancellableConnection:
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        return UncancellableConnection(connection, ThreadPoolExecutor(1, thread_name_prefix="ledger"))

    return connect
