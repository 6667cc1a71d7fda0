"""The migrations of the ledger's tables.

`first_release.sql` is frozen: the tables that the first one creates. So is `first_release_rows.sql`: what a remediator
with those tables had written.
"""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, NullPool, create_engine

from remediator.ledger.address import ledger_at
from remediator.ledger.audit_verify import verify_trail
from remediator.ledger.revisions import alembic_config
from remediator.ledger.schema import metadata
from remediator.ledger.sqlite import migrate
from remediator.ledger.switches import open_breakers
from remediator.model.errors import LedgerUnavailable
from tests.invariants.outage import run_in_process

FIRST_RELEASE = Path(__file__).with_name("first_release.sql").read_text()
FIRST_ROWS = Path(__file__).with_name("first_release_rows.sql").read_text()
TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
INDEXES = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
KEPT = "INSERT INTO delivery (received_at, body) VALUES (1, 'kept')"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def open_error(file: Path) -> str:
    try:
        async with ledger_at(f"sqlite:///{file}").open():
            return "opened"
    except LedgerUnavailable as error:
        return str(error)


def fill(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as ledger:
        ledger.executescript(script)


def read(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as ledger:
        return ledger.execute(query).fetchall()


def dump(file: Path) -> str:
    with closing(sqlite3.connect(file)) as ledger:
        lines = "\n".join(ledger.iterdump()).splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def test_first_migration_creates_the_tables_of_the_first_release(file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "m0001")
    engine.dispose()
    assert dump(file) == FIRST_RELEASE, "a released migration is never edited; add one"


@pytest.mark.parametrize("before", ["", FIRST_RELEASE], ids=["a new one", "the first release"])
async def test_migrated_tables_equal_the_schema(file: Path, before: str) -> None:
    fill(file, before)

    def differences(connection: Connection) -> Sequence[object]:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    async with ledger_at(f"sqlite:///{file}").open() as ledger, ledger.read() as connection:
        assert await connection.run_sync(differences) == []
        indexes = (await connection.exec_driver_sql(INDEXES)).scalars().all()
    assert indexes == indexes_of_schema(), "compare_metadata does not see their conditions"


def indexes_of_schema() -> Sequence[str]:
    with create_engine("sqlite://", poolclass=NullPool).begin() as connection:
        metadata.create_all(connection)
        return connection.exec_driver_sql(INDEXES).scalars().all()


async def test_ledger_of_the_first_release_is_upgraded_with_its_rows(file: Path) -> None:
    fill(file, FIRST_RELEASE + FIRST_ROWS)
    tables = {table: columns_of(file, table) for (table,) in read(file, TABLES) if table != "alembic_version"}
    queries = [f"SELECT {', '.join(columns)} FROM {table}" for table, columns in tables.items()]
    before = [read(file, query) for query in queries]
    assert [await open_error(file), await open_error(file)] == ["opened", "opened"]
    assert [read(file, query) for query in queries] == before


async def test_trail_and_breaker_of_the_first_release_hold_after_the_upgrade(file: Path) -> None:
    fill(file, FIRST_RELEASE + FIRST_ROWS)
    [(last_hash,)] = read(file, "SELECT hash FROM audit ORDER BY id DESC LIMIT 1")
    async with ledger_at(f"sqlite:///{file}").open() as ledger:
        report = await verify_trail(ledger.read)
        async with ledger.read() as connection:
            open_targets = [each.target for each in await open_breakers(connection)]
    assert (report.first_break, report.rows, report.head) == (None, 23, last_hash)
    assert open_targets == ["shop/postgres/spare"]


def columns_of(file: Path, table: str) -> list[str]:
    return [f'"{name}"' for (name,) in read(file, f"SELECT name FROM pragma_table_info('{table}')")]


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005", None])
async def test_ledger_from_before_the_first_release_is_refused_untouched(file: Path, revision: str | None) -> None:
    fill(file, FIRST_RELEASE + KEPT)
    fill(file, f"UPDATE alembic_version SET version_num = '{revision}'" if revision else "DROP TABLE alembic_version")
    before = dump(file)
    assert await open_error(file) == (
        f"{file}: it was made before 0.1.0, and no release can upgrade it; "
        f"export its audit trail (sqlite3 {file} '.dump audit' >audit.sql), "
        "then move it away with its -wal and -shm to begin a new one"
    )
    assert dump(file) == before


async def test_ledger_of_a_newer_release_is_refused(file: Path) -> None:
    fill(file, f"{FIRST_RELEASE} UPDATE alembic_version SET version_num = 'm9999'")
    assert "it was written by a newer release (revision m9999); run that release" in await open_error(file)


async def test_killed_migration_is_rolled_back_and_repeated_at_the_next_start(file: Path) -> None:
    assert run_in_process(die_migrating, file) == "migrated, not committed"
    assert read(file, "SELECT name FROM sqlite_schema") == []
    assert await open_error(file) == "opened"
    assert read(file, "SELECT version_num FROM alembic_version") == [("m0011",)]


def die_migrating(answer: Pipe, file: Path) -> None:
    upgrade = command.upgrade

    def and_die(*arguments: object) -> None:
        upgrade(*arguments)  # type: ignore[arg-type]
        answer.send("migrated, not committed")
        os.kill(os.getpid(), signal.SIGKILL)

    migrate.command.upgrade = and_die
    asyncio.run(open_error(file))
