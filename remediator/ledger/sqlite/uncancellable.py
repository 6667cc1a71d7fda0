"""A connection whose statements are not torn by cancellation.

Cancelled in the middle of a statement, SQLAlchemy throws the connection away while the thread behind it still works,
and the file may stay locked for as long. So every statement is waited for, and a task that was cancelled meanwhile
learns it when the transaction is over.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

Result = TypeVar("Result")


class UncancellableConnection:
    """A connection to SQLite and the thread that it works in, with what SQLAlchemy's dialect for aiosqlite calls.

    aiosqlite's own connection can be made to wait only through its private attributes.
    """

    def __init__(self, connection: sqlite3.Connection, executor: ThreadPoolExecutor) -> None:
        self._connection, self._executor = connection, executor  # the dialect asks whether there is a `_connection`

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call `function` in the thread, and wait for it, cancelled or not."""
        return await wait_for_result(asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments))

    def cursor(self) -> "UncancellableCursor":
        return UncancellableCursor(self, self._connection.cursor())

    async def create_function(self, *arguments: Any, **options: Any) -> None:
        self._connection.create_function(*arguments, **options)

    async def commit(self) -> None:
        await self.run(self._connection.commit)

    async def rollback(self) -> None:
        """Roll back what has begun: of most transactions nothing is left when their connection comes back."""
        if self._connection.in_transaction:
            await self.run(self._connection.rollback)

    async def close(self) -> None:
        await self.run(self._connection.close)
        self._executor.shutdown(wait=False)

    def stop(self) -> None:
        """Close without waiting, as an engine does with a connection that it gives up."""
        with suppress(RuntimeError):  # it is closed already
            self._executor.submit(self._connection.close)
        self._executor.shutdown(wait=False)


class UncancellableCursor:
    """Reads all rows of a statement in the same turn of the thread that executes it."""

    def __init__(self, connection: UncancellableConnection, cursor: sqlite3.Cursor) -> None:
        self._connection, self._cursor = connection, cursor
        self._rows: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)  # description, rowcount, lastrowid

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        self._rows = await self._connection.run(self._fetch, statement, parameters)

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        return self._cursor.execute(statement, parameters).fetchall()

    async def executemany(self, statement: str, parameters: Sequence[Any]) -> None:
        await self._connection.run(self._cursor.executemany, statement, parameters)

    async def fetchall(self) -> list[Any]:
        return self._rows

    async def close(self) -> None:
        self._cursor.close()


def connection_factory(file: Path) -> Callable[[], Awaitable[UncancellableConnection]]:
    """What opens another connection to `file`."""

    async def connect() -> UncancellableConnection:
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        return UncancellableConnection(connection, ThreadPoolExecutor(1, thread_name_prefix="ledger"))

    return connect


async def wait_for_result(future: asyncio.Future[Result]) -> Result:
    """Return the result of `future`, however often this task is cancelled meanwhile; see `defer_cancellation`."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    return future.result()


@asynccontextmanager
async def defer_cancellation() -> AsyncIterator[None]:
    """Raise at the end what the block could not be cancelled with."""
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
