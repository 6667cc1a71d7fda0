"""Whether the file is damaged: a damaged one may lack the very row that would have stopped us.

What bounds are judged by is read before anything is done. The deliveries and the audit trail are most of a ledger that
has lived long, and reading them may take minutes; that is done while the remediator works already.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.model.errors import LedgerUnavailable

LARGE_TABLES = ("delivery", "audit", "outbox")
_SMALL_TABLES_QUERY = f"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN {LARGE_TABLES}"  # noqa: S608 - our own words
REMEDY = "restore it, or move it away with its -wal and -shm to begin a new one"
_STOP_SECONDS = 0.05


async def require_intact(connection: AsyncConnection) -> None:
    """Read all tables but the large ones.

    Raises:
        LedgerUnavailable: one of them is damaged.
    """
    try:
        for name in (await connection.exec_driver_sql(_SMALL_TABLES_QUERY)).scalars().all():
            result = (await connection.exec_driver_sql(f'PRAGMA quick_check("{name}")')).scalar_one()
            if result != "ok":
                raise LedgerUnavailable(damage_message(result))
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error) and error.orig.sqlite_errorcode == sqlite3.SQLITE_CORRUPT:
            raise LedgerUnavailable(damage_message(str(error.orig))) from None
        raise


def damage_message(detail: str) -> str:
    """In words for people."""
    return f"it is damaged ({' '.join(detail.split())}); {REMEDY}"


@asynccontextmanager
async def check_in_background(file: Path, report_damage: Callable[[str], None]) -> AsyncIterator[None]:
    """Read the whole file while the block runs; `report_damage` is called with what is damaged."""
    connection = sqlite3.connect(file, check_same_thread=False)
    check_task = asyncio.create_task(_check(connection, report_damage), name="ledger check")
    try:
        yield
    finally:
        while not check_task.done():  # it may not have begun when it is interrupted
            connection.interrupt()
            await asyncio.wait([check_task], timeout=_STOP_SECONDS)
        connection.close()


async def _check(connection: sqlite3.Connection, report_damage: Callable[[str], None]) -> None:
    """What stands in the way of reading is no damage; whoever writes meets it as well, and says so."""
    try:
        [(result,)] = await asyncio.to_thread(lambda: connection.execute("PRAGMA quick_check(1)").fetchall())
    except sqlite3.Error as error:
        result = str(error) if error.sqlite_errorcode == sqlite3.SQLITE_CORRUPT else "ok"
    if result != "ok":
        report_damage(damage_message(result))
