"""Opens a ledger only to read it, beside the remediator that uses it: it takes no lock and changes nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from remediator.ledger.postgresql.connection import create_engine
from remediator.ledger.postgresql.transactions import Transactions
from remediator.model.errors import LedgerUnavailable
from runbookd.addresses.postgres import PostgresAddress


@asynccontextmanager
async def reading(ledger: Path | PostgresAddress) -> AsyncIterator[AsyncConnection]:
    """Begin a transaction on one snapshot of the ledger in a SQLite file, or at an address in PostgreSQL.

    Raises:
        LedgerUnavailable: it cannot be read, or is not a ledger.
    """
    engine = _engine(ledger) if isinstance(ledger, Path) else create_engine(ledger)
    try:
        if isinstance(ledger, Path):
            async with engine.begin() as connection:
                yield connection
        else:
            async with Transactions(engine).reading() as connection:
                yield connection
    except DBAPIError as error:
        raise LedgerUnavailable(f"cannot read the ledger: {error.orig}; read it as the remediator's user") from None
    finally:
        await engine.dispose()


def _engine(file: Path) -> AsyncEngine:
    return create_async_engine(f"sqlite+aiosqlite:///file:{quote(str(file.resolve()))}?mode=ro&uri=true")
