"""`runbookctl ledger`: tables for a ledger in PostgreSQL, and a SQLite ledger that becomes one."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from remediator.ledger import audit
from remediator.ledger.revisions import known_revisions
from remediator.ledger.schema import audit as trail
from remediator.ledger.schema import metadata
from tests.ledgers import ROOT, LedgerDatabases, install, leading, ledger_of, sqlite_url, tampering
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness, folder, inventory

__all__ = ["folder"]


def runbookctl(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-c", "import sys; from runbookctl.main import main; sys.exit(main())", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, (result.stdout + result.stderr).strip()


@pytest.fixture
def database(ledger_databases: LedgerDatabases) -> Iterator[str]:
    """Return the name of the database of an empty ledger."""
    name = ledger_databases.add()
    yield name
    ledger_databases.server.drop_database(name)


@pytest.fixture
def database_without_tables(ledger_databases: LedgerDatabases) -> Iterator[str]:
    """Return the name of a database with the roles and the schema of deploy/postgres/ledger.sql."""
    name = "ledger_of_runbookctl"
    ledger_databases.server.add_database(name)
    install(ledger_databases.server, name)
    yield name
    ledger_databases.server.drop_database(name)


@pytest.fixture
def owner(database: str, ledger_databases: LedgerDatabases, tmp_path: Path) -> str:
    """Return the file with the address of the owner."""
    file = tmp_path / "owner.url"
    file.write_text(ledger_databases.url(database, "runbookd_owner"))
    return str(file)


async def write_sqlite_ledger(folder: Path) -> None:
    async with engine_harness(folder, inventory()) as harness:
        for name in ("a", "b"):
            harness.files.fill(name)
            await harness.deliver(fingerprint=name)
            await harness.work()
            harness.clock.advance(hours=1)
        await harness.pause()


async def rows_of(url: str) -> dict[str, list[object]]:
    async with ledger_of(url).open() as ledger, ledger.read() as connection:
        assert await first_break(connection) is None
        tables = metadata.sorted_tables
        return {
            table.name: [
                tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in tables
        }


async def test_sqlite_ledger_becomes_one_in_postgresql(
    folder: Path, owner: str, database: str, ledger_databases: LedgerDatabases
) -> None:
    await write_sqlite_ledger(folder)
    source, url = sqlite_url(folder.parent), ledger_databases.url(database)
    status, output = runbookctl("ledger", "copy", source, owner)
    before = await rows_of(source)
    assert status == 0, output
    assert f"the audit trail is intact: {len(before['audit'])} rows; head {before['audit'][-1][-1]}" in output
    assert await rows_of(url) == before
    async with engine_harness(folder, inventory()) as harness:  # numbers continue after those of the copied rows
        context = harness.context
        async with ledger_of(url).open() as replica, leading(replica) as ledger:
            context.ledger = ledger
            harness = EngineHarness(context, harness.files, harness.clock)
            await harness.deliver(target="spare", fingerprint="c")
            await harness.work()
            assert [run.id for run in await harness.runs()] == [1, 2, 3]
            async with ledger.read() as connection:
                assert await first_break(connection) is None


async def test_copy_into_a_ledger_with_rows_is_refused_and_changes_nothing(
    folder: Path, owner: str, database: str, ledger_databases: LedgerDatabases
) -> None:
    await write_sqlite_ledger(folder)
    async with ledger_of(ledger_databases.url(database)).open() as ledger, ledger.write() as connection:
        await audit.append(connection, START, "test")
    status, output = runbookctl("ledger", "copy", sqlite_url(folder.parent), owner)
    assert (status, "the target has rows in the table audit; copy into" in output) == (1, True), output
    assert [len(rows) for name, rows in (await rows_of(ledger_databases.url(database))).items() if rows] == [1]


async def test_broken_trail_is_not_copied(
    folder: Path, owner: str, database: str, ledger_databases: LedgerDatabases
) -> None:
    await write_sqlite_ledger(folder)
    async with ledger_of(sqlite_url(folder.parent)).open() as ledger, tampering(ledger) as connection:
        await connection.execute(update(trail).where(trail.c.id == 3).values(actor="somebody"))
    status, output = runbookctl("ledger", "copy", sqlite_url(folder.parent), owner)
    assert status == 1
    assert "ledger copy: the audit trail of the source is broken at row 3: row 3 was changed" in output
    async with ledger_of(ledger_databases.url(database)).open() as ledger, ledger.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(trail))).scalar_one() == 0


async def test_ledger_in_use_is_not_copied(
    folder: Path, owner: str, database: str, ledger_databases: LedgerDatabases
) -> None:
    async with engine_harness(folder, inventory()):
        status, output = runbookctl("ledger", "copy", sqlite_url(folder.parent), owner)
        assert (status, "another remediator has the ledger" in output) == (1, True), output
    async with ledger_of(ledger_databases.url(database)).open() as ledger, leading(ledger):
        status, output = await asyncio.to_thread(runbookctl, "ledger", "copy", sqlite_url(folder.parent), owner)
        assert (status, "has the ledger; stop it" in output) == (1, True), output


def test_tables_are_created_once_and_needed_for_a_copy(
    folder: Path, tmp_path: Path, database_without_tables: str, ledger_databases: LedgerDatabases
) -> None:
    owner = tmp_path / "owner.url"
    owner.write_text(ledger_databases.url(database_without_tables, "runbookd_owner"))
    (folder.parent / "ledger.db").touch()
    status, output = runbookctl("ledger", "copy", sqlite_url(folder.parent), str(owner))
    assert (status, "run ledger migrate" in output) == (1, True), output
    newest = known_revisions()[-1]
    for before in ("none", newest):
        status, output = runbookctl("ledger", "migrate", str(owner))
        assert (status, output) == (0, f"the ledger has the tables of this release, {newest}; before: {before}")


def test_wrong_addresses_are_refused_without_showing_a_password(tmp_path: Path) -> None:
    status, output = runbookctl("ledger", "migrate", "postgresql://owner:planted-secret@db/runbookd")
    assert (status, "a password on the command line" in output, "planted" in output) == (2, True, False)
    assert runbookctl("ledger", "migrate", f"{tmp_path}/no-file")[0] == 2
    assert "no ledger at" in runbookctl("ledger", "copy", f"sqlite:///{tmp_path}/no.db", "postgresql://o@db/r")[1]
    status, output = runbookctl("ledger", "migrate", f"sqlite:///{tmp_path}/ledger.db")
    assert (status, "is not that of a ledger in PostgreSQL" in output) == (2, True)
