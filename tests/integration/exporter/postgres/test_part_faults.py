"""A failed part is named and does not affect the others."""

import asyncio
from collections.abc import Iterator
from secrets import token_hex
from time import monotonic

import asyncpg
import pytest

from exporter.postgres import part_faults
from exporter.postgres.connect import NOT_UTF8

INVENTORY = "stacks: {{shop: {{postgres: {{main: {{dsn: '{dsn}'}}}}}}}}"
SUCCESS = "runbook_exporter_part_success"
# Works only in an SQL_ASCII database, where the server takes the bytes of the name unchanged.
LATIN1 = """SET client_encoding = 'SQL_ASCII'; SELECT '{} "caf' || chr(233) || '"{}' \\gexec"""


@pytest.fixture
def ascii_database(metrics_server) -> Iterator[str]:
    """Create a database in SQL_ASCII and give its name."""
    name = f"ascii_{token_hex(6)}"
    metrics_server.sql(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    yield name
    metrics_server.drop_database(name)


def failed_parts(samples) -> set[str]:
    return {labels["part"] for labels, value in samples.series(SUCCESS) if value == 0}


async def test_part_without_permission_is_left_out_and_retried(reader, database, monkeypatch) -> None:
    whole = await reader.read()
    assert failed_parts(whole) == set()
    database.sql("REVOKE EXECUTE ON FUNCTION pg_control_checkpoint() FROM PUBLIC")
    samples = await reader.read()
    assert failed_parts(samples) == {"last checkpoint"}
    assert samples.names() == whole.names() - {"pg_last_checkpoint_timestamp_seconds"}
    [note] = reader.reading.notes
    assert note == "part 'last checkpoint' is left out: permission denied for function pg_control_checkpoint"
    assert (await reader.read()).names() == samples.names()
    assert reader.reading.round_trips <= 2  # one to prepare the new statement, one to read all other parts
    await reader.read()
    assert reader.reading.round_trips == 1
    database.sql("GRANT EXECUTE ON FUNCTION pg_control_checkpoint() TO PUBLIC")
    assert failed_parts(await reader.read()) == {"last checkpoint"}
    monkeypatch.setattr(part_faults, "monotonic", lambda: monotonic() + part_faults.LONGEST_SECONDS)
    assert (await reader.read()).names() == whole.names()


async def test_part_waiting_for_a_lock_does_not_affect_others(reader, connect) -> None:
    reader.budget = 2.0
    whole = await reader.read()
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver IN ACCESS EXCLUSIVE MODE")
    began = asyncio.get_running_loop().time()
    samples = await reader.read()
    assert asyncio.get_running_loop().time() - began < reader.budget
    assert failed_parts(samples) == {"archiver"}
    assert whole.names() - samples.names() == {name for name in whole.names() if "archive" in name}
    assert "timeout" in reader.reading.notes[0]


async def test_parts_are_read_one_by_one_after_a_cancelled_reading(reader, connect) -> None:
    reader.budget = 2.0
    await reader.read()
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver IN ACCESS EXCLUSIVE MODE")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await reader.read()
    await reader.client.close()
    samples = await reader.read()
    assert failed_parts(samples) == {"archiver"}
    assert reader.reading.round_trips > len(samples.series(SUCCESS))


async def test_failed_part_is_reported_on_the_page_and_logged_once(
    start_exporter, metrics_server, database, capsys
) -> None:
    database.sql("REVOKE EXECUTE ON FUNCTION pg_control_checkpoint() FROM PUBLIC")
    exporter = await start_exporter(INVENTORY.format(dsn=database.dsn("metrics")))
    for _ in range(3):
        page = await exporter.scrape()
        assert page.value("pg_up") == 1
        assert page.value("runbook_exporter_collector_success", collector="postgres") == 1
        assert page.value(SUCCESS, part="last checkpoint") == 0
    assert "part 'last checkpoint' is left out: permission denied" in (await exporter.get("/metrics?debug=true"))[1]
    out, err = capsys.readouterr()
    assert (out + err).count("last checkpoint") == 1
    assert "shop/postgres/main" in out + err


async def test_extension_metrics_follow_create_and_drop(reader, database) -> None:
    name = "pg_stat_statements_calls_total"
    assert (await reader.read()).series(name) == []
    database.sql('CREATE SCHEMA "My ""ext"; GRANT USAGE ON SCHEMA "My ""ext" TO PUBLIC')
    database.sql('CREATE EXTENSION pg_stat_statements SCHEMA "My ""ext"')
    samples = await reader.read()
    assert samples.series(name), reader.reading.notes
    database.sql("DROP EXTENSION pg_stat_statements")
    samples = await reader.read()
    assert samples.series(name) == []
    assert failed_parts(samples) == set()


async def test_three_waiting_parts_are_left_out_within_the_deadline(reader, connect) -> None:
    reader.budget = 3.0
    await reader.read()
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver, pg_stat_wal, pg_stat_bgwriter IN ACCESS EXCLUSIVE MODE")
    began = asyncio.get_running_loop().time()
    samples = await reader.read()
    assert asyncio.get_running_loop().time() - began < reader.budget
    assert failed_parts(samples) == {"archiver", "wal", "checkpoints"}


async def test_manually_cancelled_statement_excludes_no_part(reader, metrics_server, database) -> None:
    whole = await reader.read()
    reading = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    metrics_server.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'metrics'")
    assert (await reading).names() == whole.names()
    assert failed_parts(await reader.read()) == set()


async def test_names_outside_utf8_cost_only_themselves(make_reader, metrics_server, database, ascii_database) -> None:
    database.sql("CREATE TABLE t (id int)")
    metrics_server.sql(LATIN1.format("CREATE ROLE", " CONNECTION LIMIT 5 LOGIN"), database=ascii_database)
    metrics_server.sql(LATIN1.format("CREATE DATABASE", ""), database=ascii_database)
    metrics_server.sql("CREATE ROLE limited CONNECTION LIMIT 4 LOGIN")
    try:
        reader = make_reader(database.dsn("metrics"), databases=("ascii_*", "caf*"))
        samples = await reader.read()
        connection = reader.client
        assert failed_parts(samples) == set()
        for name in ("pg_stat_database_xact_commit_total", "pg_xid_age", "pg_connections"):
            names = {labels["datname"] for labels, _ in samples.series(name)}
            assert {database.name, ascii_database} <= names
            assert not [each for each in names if each.startswith("caf")]
        assert samples.value("pg_roles_connection_limit", rolname="limited") == 4
        assert reader.reading.notes == (NOT_UTF8,)
        await reader.read()
        assert reader.reading.round_trips == 1
        assert reader.client is connection
        sizes = await reader.run("database sizes")
        assert sizes.value("pg_database_size_bytes", datname=database.name)
        samples = await reader.run("table sizes")
        assert samples.series("pg_stat_user_tables_table_size_bytes", datname=database.name)
        success = {labels["datname"]: value for labels, value in samples.series("runbook_exporter_database_success")}
        assert success == {ascii_database: 1, "caf\ufffd": 0}
    finally:
        metrics_server.sql(LATIN1.format("DROP DATABASE", ""), database=ascii_database)
        metrics_server.sql(LATIN1.format("DROP ROLE", ""), database=ascii_database)
        metrics_server.sql("DROP ROLE limited")


async def test_name_outside_the_encoding_of_the_database_costs_only_itself(make_reader, metrics_server) -> None:
    metrics_server.sql("CREATE DATABASE western TEMPLATE template0 ENCODING WIN1252 LC_COLLATE 'C' LC_CTYPE 'C'")
    metrics_server.sql('CREATE DATABASE "\u00c1rea"')  # its second byte is no letter of WIN1252
    try:
        metrics_server.sql('SET client_encoding = UTF8; CREATE TABLE "caf\u00e9" (id int)', database="western")
        reader = make_reader(metrics_server.dsn("metrics", "western"), databases=("post*",))
        samples = await reader.all()
    finally:
        metrics_server.drop_database("western")
        metrics_server.drop_database("\u00c1rea")
    assert failed_parts(samples) == set()
    assert reader.reading.notes == (NOT_UTF8,)
    for name in ("pg_xid_age", "pg_database_size_bytes"):
        assert {"western", "postgres"} <= {labels["datname"] for labels, _ in samples.series(name)}
    sizes = samples.series("pg_stat_user_tables_table_size_bytes", datname="western")
    assert [labels["relname"] for labels, _ in sizes] == ["caf\u00e9"]
    assert {value for _, value in samples.series("runbook_exporter_database_success")} == {1}


async def test_table_name_outside_utf8_costs_only_itself(make_reader, metrics_server, database, ascii_database) -> None:
    def in_ascii(dsn: str) -> str:
        return dsn.replace(database.name, ascii_database)

    connection = await asyncpg.connect(in_ascii(database.dsn()))
    await connection.execute(
        """DO $$ BEGIN EXECUTE 'CREATE TABLE "caf' || chr(233) || '" (id int PRIMARY KEY)'; END $$"""
    )
    await connection.execute("CREATE TABLE plain (id int PRIMARY KEY)")
    await connection.close()
    reader = make_reader(in_ascii(database.dsn("metrics")))
    samples = await reader.all()
    assert failed_parts(samples) == set()
    assert [labels["relname"] for labels, _ in samples.series("pg_stat_user_tables_n_live_tup")] == ["plain"]
    assert [labels["relname"] for labels, _ in samples.series("pg_stat_user_tables_table_size_bytes")] == ["plain"]
    assert [labels["relname"] for labels, _ in samples.series("pg_index_valid")] == ["plain"]
    assert NOT_UTF8 in reader.reading.notes
