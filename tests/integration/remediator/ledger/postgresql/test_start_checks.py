"""What the remediator refuses to start with, and the words that it says."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from remediator.ledger.postgresql.migrate import migrate
from remediator.ledger.revisions import known_revisions
from remediator.ledger.schema import metadata
from remediator.model.errors import LedgerUnavailable
from runbookd.addresses.postgres import read_postgres_address
from tests.ledgers import LedgerDatabases, install, ledger_in, ledger_of, ledger_url

OWN = known_revisions()[-1]


async def open_error(url: str) -> str:
    try:
        async with ledger_of(url).open():
            return "opened"
    except LedgerUnavailable as error:
        return str(error)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return ledger_url(tmp_path)


@pytest.fixture
def own_database(ledger_databases: LedgerDatabases):
    """Return the name of a database whose tables a test may change."""
    name = ledger_databases.add()
    yield name
    ledger_databases.server.drop_database(name)


async def test_migrated_tables_equal_the_schema(tmp_path: Path) -> None:
    def differences(connection: Connection) -> Sequence[object]:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    async with ledger_in(tmp_path).open() as ledger, ledger.read() as connection:
        found = [each for each in await connection.run_sync(differences) if each[0] != "remove_table"]
    assert found == []


async def test_database_without_tables_is_refused(own_database: str, ledger_databases: LedgerDatabases) -> None:
    ledger_databases.server.sql("DROP SCHEMA runbookd CASCADE", database=own_database)
    error = await open_error(ledger_databases.url(own_database))
    assert error == "the database has no ledger; run `runbookctl ledger migrate` with the URL of its owner"


async def test_tables_older_than_the_release_are_refused(own_database: str, ledger_databases: LedgerDatabases) -> None:
    url = ledger_databases.url(own_database)
    ledger_databases.sql(url, f"DELETE FROM schema_revision WHERE revision = '{OWN}'")
    assert f"older than this release (revision {known_revisions()[-2]}, not {OWN}); run" in await open_error(url)


async def test_tables_of_the_next_release_are_used_and_later_ones_refused(
    own_database: str, ledger_databases: LedgerDatabases
) -> None:
    url = ledger_databases.url(own_database)
    for number, (revision, release) in enumerate([("m0901", "0.9.0"), ("m0902", "0.9.0")], 100):
        ledger_databases.sql(url, f"INSERT INTO schema_revision VALUES ({number}, '{revision}', '{release}')")
        assert await open_error(url) == "opened"
    ledger_databases.sql(url, "INSERT INTO schema_revision VALUES (200, 'm0950', '0.9.5')")
    error = await open_error(url)
    assert "it was migrated to release 0.9.5, 2 releases newer than this one (0.2.0); run 0.9.0 or later" in error


@pytest.mark.parametrize("role", ["runbookd_owner", "postgres"])
async def test_role_that_may_change_the_trail_is_refused(
    role: str, own_database: str, ledger_databases: LedgerDatabases
) -> None:
    """Invariant 38."""
    more = "?search_path=runbookd" if role == "postgres" else ""
    error = await open_error(ledger_databases.url(own_database, role) + more)
    assert f"the role {role} may change the audit trail (UPDATE, DELETE, TRUNCATE); connect as runbookd_writer" in error


async def test_commits_that_may_be_lost_are_refused(own_database: str, ledger_databases: LedgerDatabases) -> None:
    url = ledger_databases.url(own_database)
    alter = f"ALTER ROLE runbookd_writer IN DATABASE {own_database} SET synchronous_commit"
    ledger_databases.sql(url, f"{alter} = off")
    assert "synchronous_commit is off, so a commit may be lost; run ALTER ROLE" in await open_error(url)


async def test_unreachable_database_is_named_with_a_remedy(
    own_database: str, ledger_databases: LedgerDatabases
) -> None:
    url = ledger_databases.url(own_database)
    wrong = url.replace(own_database, "no_such")
    assert 'database "no_such" does not exist; create the database, then run deploy' in await open_error(wrong)
    wrong = url.replace(str(ledger_databases.server.port), "1")
    assert "127.0.0.1:1: the connection is refused; check the address" in await open_error(wrong)
    password = ledger_databases.server.password("runbookd_writer")
    error = await open_error(url.replace(password, "wrong-password"))
    assert "correct the password in the file of --ledger.url-file" in error
    assert "wrong-password" not in error


async def test_three_migrations_at_once_make_one_ledger(ledger_databases: LedgerDatabases) -> None:
    server, name = ledger_databases.server, "migrated_three_times"
    server.add_database(name)
    try:
        install(server, name)
        owner = read_postgres_address(ledger_databases.url(name, "runbookd_owner"))
        answers = await asyncio.gather(*(migrate(owner) for _ in range(3)))
        assert sorted(answers, key=str) == [(OWN, OWN), (OWN, OWN), (None, OWN)]
        assert await open_error(ledger_databases.url(name)) == "opened"
    finally:
        server.drop_database(name)


async def test_ledger_of_a_newer_release_is_not_migrated(own_database: str, ledger_databases: LedgerDatabases) -> None:
    ledger_databases.sql(ledger_databases.url(own_database), "UPDATE alembic_version SET version_num = 'm9999'")
    owner = read_postgres_address(ledger_databases.url(own_database, "runbookd_owner"))
    with pytest.raises(LedgerUnavailable, match="migrated by a newer release"):
        await migrate(owner)
