"""The rights that deploy/postgres/ledger.sql and `runbookctl ledger migrate` give, and what the database keeps to."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from demo.servers.errors import ServerError
from remediator.ledger import audit
from remediator.ledger.postgresql.migrate import migrate
from remediator.ledger.schema import audit as trail
from remediator.ledger.schema import to_microseconds
from runbookd.addresses.postgres import read_postgres_address
from tests.ledgers import LedgerDatabases, install, ledger_of
from tests.unit.remediator.audit_trail import first_break

OLD = datetime.now(UTC) - timedelta(days=401)
ROW = "1, NULL, 'test', 'somebody', '{}', ''"
Sql = Callable[[str, str], str]


@pytest.fixture(scope="module")
def database(ledger_databases: LedgerDatabases) -> Iterator[str]:
    """Set up a ledger as an operator does, whose server has its own clock."""
    server, name = ledger_databases.server, "ledger_of_an_operator"
    server.add_database(name)
    for _ in range(2):  # after an update of the file, too
        install(server, name)
    yield name
    server.drop_database(name)


@pytest.fixture
async def url(database: str, ledger_databases: LedgerDatabases) -> str:
    await migrate(read_postgres_address(ledger_databases.url(database, "runbookd_owner")))
    return ledger_databases.url(database)


@pytest.fixture
def sql(database: str, ledger_databases: LedgerDatabases) -> Sql:
    return lambda role, statements: ledger_databases.server.sql(statements, role=role, database=database)


async def append(url: str, *moments: datetime) -> None:
    async with ledger_of(url).open() as ledger, ledger.write() as connection:
        for at in moments:
            await audit.append(connection, at, "test")


@pytest.mark.parametrize(
    "act", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit", "DROP TABLE audit"]
)
async def test_writer_cannot_change_the_trail(url: str, sql: Sql, act: str) -> None:
    """Invariant 38."""
    sql("runbookd_writer", f"INSERT INTO audit VALUES ((SELECT coalesce(max(id), 0) + 1 FROM audit), {ROW})")
    with pytest.raises(ServerError, match=r"permission denied|must be owner"):
        sql("runbookd_writer", act)


@pytest.mark.parametrize(
    "act", ["CREATE TABLE t (i int)", "UPDATE schema_revision SET release = '9'", "DELETE FROM leader"]
)
async def test_writer_changes_neither_tables_nor_fences(url: str, sql: Sql, act: str) -> None:
    with pytest.raises(ServerError, match="permission denied"):
        sql("runbookd_writer", act)


async def test_auditor_reads_and_does_nothing_else(url: str, sql: Sql) -> None:
    await append(url, datetime.now(UTC))
    assert int(sql("runbookd_auditor", "SELECT count(*) FROM audit")) > 0
    with pytest.raises(ServerError, match="permission denied"):
        sql("runbookd_auditor", "SELECT value FROM console_key")
    for act in ("INSERT INTO storm (seen_at, detail) VALUES (1, '')", "SELECT cut_trail(1, 1)", "DELETE FROM run"):
        with pytest.raises(ServerError, match="permission denied"):
            sql("runbookd_auditor", f"SET default_transaction_read_only = off; {act}")


async def test_retention_cuts_only_what_is_older_than_400_days(url: str, sql: Sql) -> None:
    """Invariant 38: whatever time and number of rows the caller names."""
    recent = datetime.now(UTC) - timedelta(days=399)
    sql("postgres", "TRUNCATE runbookd.audit")
    await append(url, OLD, OLD, recent, recent)
    far_ahead = to_microseconds(datetime.now(UTC) + timedelta(days=10_000))
    assert sql("runbookd_writer", f"SELECT cut_trail({far_ahead}, 1000000)") == "2"
    assert sql("runbookd_writer", f"SELECT cut_trail({far_ahead}, 1000000)") == "0"
    async with ledger_of(url).open() as ledger, ledger.read() as connection:
        assert await first_break(connection) is None
        rows = (await connection.execute(select(trail).order_by(trail.c.id))).all()
    assert [(row.id, row.event) for row in rows] == [(3, "test"), (4, "test"), (5, audit.CUT)]


async def test_checkpoint_hash_covers_every_kind_of_moment(url: str, sql: Sql) -> None:
    """The database computes it as the remediator does, with and without a fraction of a second."""
    for microsecond in (0, 1, 120_000):
        sql("postgres", "TRUNCATE runbookd.audit")
        await append(url, OLD, datetime.now(UTC))
        now = to_microseconds(datetime.now(UTC).replace(microsecond=microsecond))
        assert sql("runbookd_writer", f"SELECT cut_trail({now}, 1000)") == "1"
        async with ledger_of(url).open() as ledger, ledger.read() as connection:
            assert await first_break(connection) is None


async def test_function_does_not_look_into_a_schema_of_the_caller(url: str, sql: Sql) -> None:
    sql("postgres", "TRUNCATE runbookd.audit; GRANT TEMPORARY ON DATABASE ledger_of_an_operator TO runbookd_writer")
    await append(url, OLD, datetime.now(UTC))
    far_ahead = to_microseconds(datetime.now(UTC))
    decoy = "CREATE TEMPORARY TABLE audit (LIKE runbookd.audit); "
    assert sql("runbookd_writer", f"{decoy} SELECT cut_trail({far_ahead}, 1000)") == "1"
