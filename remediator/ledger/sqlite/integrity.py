"""Checks the file for damage, which could hide the row that would block a run.

The tables that bounds evaluate are checked before the start. Deliveries, messages and the audit trail are most of an
old ledger, and reading them may take minutes, so they are checked while the remediator already works.
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
_SMALL_TABLES_QUERY = f"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN {LARGE_TABLES}"  # noqa: S608 - constants only
REMEDY = "restore it, or move it away with its -wal and -shm to begin a new one"
_STOP_SECONDS = 0.05


async def require_intact(connection: AsyncConnection) -> None:
    """Check all tables except the large ones.

    Raises:
        LedgerUnavailable: a table is damaged.
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
    """Describe the damage, with its remedy."""
    return f"it is damaged ({' '.join(detail.split())}); {REMEDY}"


@asynccontextmanager
async def check_in_background(file: Path, report_damage: Callable[[str], None]) -> AsyncIterator[None]:
    """Check the whole file while the block runs, and report any damage."""
    connection = sqlite3.connect(file, check_same_thread=False)
    check_task = asyncio.create_task(_check(connection, report_damage), name="ledger check")
    try:
        yield
    finally:
        while not check_task.done():  # an interrupt before the statement begins has no effect, so repeat it
            connection.interrupt()
            await asyncio.wait([check_task], timeout=_STOP_SECONDS)
        connection.close()


async def _check(connection: sqlite3.Connection, report_damage: Callable[[str], None]) -> None:
    """Check the file, reporting only corruption.

    Other read errors also fail the next write, which reports them.
    """
    try:
        [(result,)] = await asyncio.to_thread(lambda: connection.execute("PRAGMA quick_check(1)").fetchall())
    except sqlite3.Error as error:
        result = str(error) if error.sqlite_errorcode == sqlite3.SQLITE_CORRUPT else "ok"
    if result != "ok":
        report_damage(damage_message(result))
