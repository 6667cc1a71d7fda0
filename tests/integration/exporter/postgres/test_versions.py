"""Every metric that is declared comes from some real server, and nothing is left out on any version."""

import asyncio

import pytest

from exporter.postgres.collector import UP, PostgresCollector

SITUATION = """
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE TABLE IF NOT EXISTS kept (id serial PRIMARY KEY, note text);
INSERT INTO kept (note) SELECT 'x' FROM generate_series(1, 100);
ALTER DATABASE postgres CONNECTION LIMIT 90;
SELECT pg_create_physical_replication_slot('idle', true);
"""


def failed_parts(samples) -> list[str]:
    return [labels["part"] for labels, value in samples.series("runbook_exporter_part_success") if value == 0]


@pytest.fixture
async def of_primary(primary, follower, subject, connect):
    """What is found on a primary of which nothing is missing."""
    primary.add_role("limited", "CONNECTION LIMIT 3")
    primary.add_database("further")
    primary.sql("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    primary.sql("SELECT pg_reload_conf()")
    primary.sql(SITUATION)
    primary.sql("SELECT pg_stat_reset()")
    primary.sql("SELECT pg_switch_wal()")
    reader = subject(primary.dsn("metrics"), databases=("further",), statement_texts=True)
    await reader.until(lambda found: found.value("pg_stat_archiver_failed_total"))
    primary.sql("ALTER SYSTEM SET archive_command = 'true'")
    primary.sql("SELECT pg_reload_conf()")
    primary.sql("CREATE TABLE busy (id int) WITH (autovacuum_vacuum_threshold = 1, autovacuum_analyze_threshold = 1)")
    primary.sql("INSERT INTO busy SELECT generate_series(1, 500); DELETE FROM busy WHERE id > 100")
    primary.sql("VACUUM kept")
    primary.sql("ANALYZE kept")
    session = await connect(primary.dsn())
    await session.execute("BEGIN; LOCK TABLE kept IN SHARE MODE")
    await reader.until(lambda found: found.series("pg_stat_user_tables_last_autoanalyze_timestamp_seconds"), 30)
    await reader.until(lambda found: found.series("pg_stat_user_tables_last_autovacuum_timestamp_seconds"), 30)
    await reader.until(lambda found: found.series("pg_replication_apply_lag_seconds"))
    await reader.until(lambda found: found.value("pg_stat_archiver_last_archived_timestamp_seconds"))
    found = await reader.all()
    assert failed_parts(found) == []
    return found.names()


@pytest.fixture
async def of_standby(follower, subject):
    found = await subject(follower.dsn("metrics")).all()
    assert failed_parts(found) == []
    assert found.names() & {"pg_stat_user_tables_n_live_tup", "pg_replication_lag_seconds", "pg_database_size_bytes"}
    return found.names()


@pytest.fixture
async def of_modern(modern, subject):
    """What is found on PostgreSQL 18 after a page of a table was damaged."""
    modern.sql("CREATE TABLE damaged (id int); INSERT INTO damaged VALUES (1); CHECKPOINT")
    modern.sql("SELECT pg_create_logical_replication_slot('decoding', 'pgoutput')")
    file = modern.place().data / modern.sql("SELECT pg_relation_filepath('damaged')")
    modern.stop()
    with file.open("r+b") as page:
        page.seek(8000)
        page.write(b"damage")
    modern.start()
    with pytest.raises(Exception, match="invalid page"):
        modern.sql("SELECT * FROM damaged")
    reader = subject(modern.dsn("metrics"))
    found = await reader.until(
        lambda found: found.value("pg_stat_database_checksum_failures_total", datname="postgres")
    )
    found = await reader.all()
    assert failed_parts(found) == []
    assert found.value("pg_replication_slot_conflicting", slot_name="decoding") == 0
    assert found.series("pg_stat_io_reads_total", context="normal")
    return found.names()


@pytest.fixture
async def of_16(server16, subject):
    found = await subject(server16.dsn("metrics")).all()
    assert failed_parts(found) == []
    assert found.value("pg_settings_reserved_connections") == 0
    return found.names()


async def test_every_metric_is_exported_by_a_real_server(of_primary, of_standby, of_modern, of_16) -> None:
    declared = {metric.name for metric in PostgresCollector.metrics} - {UP.name}
    assert declared - (of_primary | of_standby | of_modern | of_16) == set()


async def test_an_empty_server_of_each_version_leaves_nothing_out(postgres_server, modern, server16, subject) -> None:
    for server in (postgres_server, server16, modern):
        reader = subject(server.dsn())
        first = await reader.read()
        assert failed_parts(first) == []
        await asyncio.sleep(0)
        assert reader.reading.round_trips == 1


async def test_input_and_output_is_that_of_blocks_not_of_wal(modern, subject) -> None:
    modern.sql("CREATE TABLE logged AS SELECT generate_series(1, 1000) AS id; SELECT pg_switch_wal(); CHECKPOINT")
    modern.sql("SELECT pg_stat_force_next_flush()")
    assert int(modern.sql("SELECT sum(writes) FROM pg_stat_io WHERE context = 'init' AND object = 'wal'")) > 0
    found = await subject(modern.dsn("metrics")).read()
    assert found.series("pg_stat_io_writes_total", context="normal")
    assert found.series("pg_stat_io_writes_total", context="init") == []  # only WAL is ever in that one
