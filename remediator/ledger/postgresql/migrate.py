"""Creates or upgrades the tables of a ledger in PostgreSQL, as their owner, completely or not at all.

The remediator never does it: its role may not change tables.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources

import asyncpg
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.postgresql.connection import create_engine
from remediator.ledger.postgresql.failures import database_error, network_error
from remediator.ledger.postgresql.lease import END_TERM
from remediator.ledger.postgresql.transactions import LOCK
from remediator.ledger.revisions import alembic_config, current_revision, known_revisions, release_of
from remediator.model.errors import LedgerUnavailable
from runbookd.addresses.postgres import PostgresAddress

_LIMITS = text("SELECT set_config('lock_timeout', '10s', true), set_config('statement_timeout', '0', true)")
_SCHEMA = text("SELECT quote_ident(current_schema())")
_NO_SCHEMA = "the role's search_path names no schema that exists; run deploy/postgres/ledger.sql in this database"
_HOLDER = text(
    "SELECT CASE WHEN expires_at > extract(epoch FROM clock_timestamp()) * 1000000 THEN holder END FROM leader"
)
_RECORD = text("INSERT INTO schema_revision (position, revision, release) VALUES (:position, :revision, :release)")


async def migrate(address: PostgresAddress) -> tuple[str | None, str]:
    """Bring the ledger's tables to this release; return their revision before and after.

    Raises:
        LedgerUnavailable: the server refuses it, or a newer release has written the ledger.
    """
    async with _begin(address) as connection:
        before, schema = await connection.run_sync(_upgrade)
        await _create_objects(connection, schema)
        return before, await connection.run_sync(_record)


@asynccontextmanager
async def open_migrated(address: PostgresAddress) -> AsyncIterator[AsyncConnection]:
    """Begin a transaction as the owner of a ledger with the tables of this release, which no remediator uses.

    Raises:
        LedgerUnavailable: it is not migrated, or a remediator uses it.
    """
    async with _begin(address) as connection:
        await connection.execute(_LIMITS)
        await connection.execute(text(f"SELECT {LOCK}"))
        if (revision := await connection.run_sync(current_revision)) != known_revisions()[-1]:
            raise LedgerUnavailable(f"its revision is {revision}, not {known_revisions()[-1]}; run ledger migrate")
        if holder := (await connection.execute(_HOLDER)).scalar_one():
            raise LedgerUnavailable(f"a remediator ({holder}) has the ledger; stop it")
        await connection.execute(END_TERM)  # a leader that has not noticed its end must not write into the copy
        yield connection


@asynccontextmanager
async def _begin(address: PostgresAddress) -> AsyncIterator[AsyncConnection]:
    engine = create_engine(address, answer_seconds=None)
    try:
        async with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise database_error(error) from error
    except (OSError, TimeoutError) as error:
        raise network_error(error) from None
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    """Upgrade the tables; return their revision before, and the name of their schema."""
    connection.execute(_LIMITS)
    schema = connection.execute(_SCHEMA).scalar_one()
    if schema is None:
        raise LedgerUnavailable(_NO_SCHEMA)
    connection.execute(text(f"SELECT {LOCK}"))  # writers wait, and so does a second migration
    before = current_revision(connection)
    if before is not None and before not in known_revisions():
        raise LedgerUnavailable(f"it was migrated by a newer release (revision {before}); run that release")
    command.upgrade(alembic_config(connection), "head")
    return before, schema


async def _create_objects(connection: AsyncConnection, schema: str) -> None:
    """Run objects.sql in the same transaction; SQLAlchemy would take its statements only one by one."""
    script = _script().replace("{schema}", schema).replace("{lock}", LOCK)
    driver: asyncpg.Connection | None = (await connection.get_raw_connection()).driver_connection
    assert driver is not None  # noqa: S101 - the connection is open
    try:
        await driver.execute(script)
    except asyncpg.PostgresError as error:
        raise LedgerUnavailable(f"the ledger: {error}") from error


@cache
def _script() -> str:
    return resources.files(__package__).joinpath("objects.sql").read_text(encoding="utf-8")


def _record(connection: Connection) -> str:
    """Record all revisions with their releases, and return the last."""
    known = known_revisions()
    rows = [{"position": at, "revision": each, "release": release_of(each)} for at, each in enumerate(known)]
    connection.execute(text("DELETE FROM schema_revision"))
    connection.execute(_RECORD, rows)
    return known[-1]
