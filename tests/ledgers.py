"""The ledgers of the tests: SQLite by default, PostgreSQL in the folders whose conftest says so.

A test names its ledger by a folder, so that it can open the same one again.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from signal import SIGQUIT

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from demo.servers.postgres import PostgresServer
from remediator.ledger.address import ledger_at, postgres_address
from remediator.ledger.postgresql.connection import create_engine
from remediator.ledger.postgresql.leader import PostgresLeader
from remediator.ledger.postgresql.migrate import migrate
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.protocol import LeaderLedger, Ledger
from remediator.ledger.schema import metadata
from runbookd.addresses.postgres import PostgresAddress, read_postgres_address

ROOT = Path(__file__).parents[1]
ROLES = ("runbookd_owner", "runbookd_writer", "runbookd_auditor")
TEMPLATE = "ledger_template"
# Commits are synchronous, as the ledger demands. The disk is not waited for: no test cuts the power of the machine.
# Autovacuum would look into each of a hundred databases every minute.
SETTINGS = {"synchronous_commit": "on", "fsync": "off", "autovacuum": "off", "max_connections": "300"}
TTL = timedelta(seconds=2)
"""Of the leases in tests: a process that was killed keeps its own for so long."""


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.db"


def ledger_url(folder: Path) -> str:
    """Return the URL of the ledger in `folder`, of the kind in use."""
    return sqlite_url(folder) if _databases is None else _databases.url_in(folder)


def ledger_in(folder: Path) -> Ledger:
    """Return the ledger in `folder`, of the kind in use, without opening it."""
    return ledger_of(ledger_url(folder))


def ledger_of(url: str) -> Ledger:
    """Return the ledger at `url`; the lease of one in PostgreSQL is short."""
    address = postgres_address(url)
    return ledger_at(url) if address is None else PostgresLedger(address, TTL)


@asynccontextmanager
async def leading_in(folder: Path) -> AsyncIterator[LeaderLedger]:
    """Open the ledger in `folder` and lead it."""
    async with ledger_in(folder).open() as ledger, leading(ledger) as leader:
        yield leader


@asynccontextmanager
async def leading(ledger: Ledger) -> AsyncIterator[LeaderLedger]:
    """Lead an open ledger, as soon as no other process does."""
    while True:
        async with ledger.lead() as leader:
            if leader is not None:
                yield leader
                return
        await asyncio.sleep(0.05)


@dataclass
class LedgerDatabases:
    """The databases of ledgers on one server, each a copy of a migrated one; a test gets one that is empty again."""

    server: PostgresServer
    _names: dict[Path, str] = field(default_factory=dict)
    _free: list[str] = field(default_factory=list)

    def url(self, name: str, role: str = "runbookd_writer") -> str:
        return self.server.dsn(role, name)

    def url_in(self, folder: Path) -> str:
        """Return the URL of the ledger of `folder`, which is created at first use."""
        if folder not in self._names:
            self._names[folder] = self._free.pop() if self._free else self.add()
        return self.url(self._names[folder])

    def release(self) -> None:
        """Empty the databases in use, for the next test."""
        for name in self._names.values():
            asyncio.run(_empty(self.server.dsn(database=name)))
            self._free.append(name)
        self._names.clear()

    def sql(self, url: str, statements: str) -> str:
        """Run statements as the superuser in the ledger at `url`."""
        prefix = "SET search_path = runbookd;"
        return self.server.sql(prefix + statements, database=url.rpartition("/")[2])

    def set_clock(self, name: str, clock: str) -> None:
        """Let retention take the time from `clock`; tests are years ahead of the server."""
        definition = self.server.sql("SELECT pg_get_functiondef('runbookd.cut_trail'::regproc)", database=name)
        assert "clock_timestamp()" in definition
        self.server.sql(definition.replace("clock_timestamp()", clock), database=name)

    def add(self, template: str = TEMPLATE) -> str:
        """Create a ledger and return the name of its database."""
        name = f"ledger_{uuid.uuid4().hex[:12]}"
        self.server.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        settings = "".join(f"ALTER ROLE {role} IN DATABASE {name} SET search_path = runbookd;" for role in ROLES)
        self.server.sql(settings)
        return name


async def _empty(dsn: str) -> None:
    tables = ", ".join(f"runbookd.{table}" for table in (*metadata.tables, "acting"))
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid();"
            f"TRUNCATE {tables} RESTART IDENTITY;"
            "UPDATE runbookd.leader SET term = 0, holder = NULL, elected_at = 0, expires_at = 0"
        )
    finally:
        await connection.close()


_databases: LedgerDatabases | None = None


@contextmanager
def on_postgresql(databases: LedgerDatabases) -> Iterator[None]:
    """Let `ledger_in` return ledgers in PostgreSQL."""
    global _databases
    _databases = databases
    try:
        yield
    finally:
        _databases = None
        databases.release()


@asynccontextmanager
async def tampering(ledger: Ledger) -> AsyncIterator[AsyncConnection]:
    """Begin a transaction of somebody who may change every row of an open ledger."""
    if isinstance(ledger, PostgresLeader):
        ledger = ledger._ledger
    if not isinstance(ledger, PostgresLedger):
        async with ledger.write() as connection:
            yield connection
        return
    assert _databases is not None
    engine = create_engine(_superuser(_databases.server.dsn(database=ledger.address.database)))
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


def _superuser(dsn: str) -> PostgresAddress:
    return read_postgres_address(f"{dsn}?search_path=runbookd")


async def make_template(server: PostgresServer) -> LedgerDatabases:
    """Create the roles and the migrated database that every ledger is copied from."""
    server.stop_signal = SIGQUIT  # without a last checkpoint, which nobody needs
    for role in ROLES:
        server.add_role(role)
    server.add_database(TEMPLATE)
    install(server, TEMPLATE)
    await migrate(read_postgres_address(server.dsn("runbookd_owner", TEMPLATE)))
    databases = LedgerDatabases(server)
    databases.set_clock(TEMPLATE, "timestamptz '2100-01-01'")
    return databases


def install(server: PostgresServer, database: str) -> None:
    """Run deploy/postgres/ledger.sql, as an operator does."""
    server.sql((ROOT / "deploy/postgres/ledger.sql").read_text(encoding="utf-8"), database=database)
