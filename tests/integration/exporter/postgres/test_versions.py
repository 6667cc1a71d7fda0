"""Each declared metric comes from a real server, and no part fails on any version."""

import asyncio
from dataclasses import replace

import pytest

from exporter.postgres.client import CERT_EXPIRY
from exporter.postgres.collector import UP, PostgresCollector
from exporter.postgres.parts.server import ServerInfo

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
async def of_primary(primary, follower, make_reader, connect):
    """Return the metrics of a primary that uses every feature."""
    primary.add_role("limited", "CONNECTION LIMIT 3")
    primary.add_database("further")
    primary.sql("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    primary.sql("SELECT pg_reload_conf()")
    primary.sql(SITUATION)
    primary.sql("SELECT pg_stat_reset()")
    primary.sql("SELECT pg_switch_wal()")
    reader = make_reader(primary.dsn("metrics"), databases=("further",), statement_texts=True)
    await reader.until(lambda samples: samples.value("pg_stat_archiver_failed_total"))
    primary.sql("ALTER SYSTEM SET archive_command = 'true'")
    primary.sql("SELECT pg_reload_conf()")
    primary.sql("CREATE TABLE busy (id int) WITH (autovacuum_vacuum_threshold = 1, autovacuum_analyze_threshold = 1)")
    primary.sql("INSERT INTO busy SELECT generate_series(1, 500); DELETE FROM busy WHERE id > 100")
    primary.sql("VACUUM kept")
    primary.sql("ANALYZE kept")
    session = await connect(primary.dsn())
    await session.execute("BEGIN; LOCK TABLE kept IN SHARE MODE")
    await reader.until(lambda samples: samples.series("pg_stat_user_tables_last_autoanalyze_timestamp_seconds"), 30)
    await reader.until(lambda samples: samples.series("pg_stat_user_tables_last_autovacuum_timestamp_seconds"), 30)
    await reader.until(lambda samples: samples.series("pg_replication_apply_lag_seconds"))
    await reader.until(lambda samples: samples.value("pg_stat_archiver_last_archived_timestamp_seconds"))
    samples = await reader.all()
    assert failed_parts(samples) == []
    return samples.names()


@pytest.fixture
async def of_standby(follower, make_reader):
    samples = await make_reader(follower.dsn("metrics")).all()
    assert failed_parts(samples) == []
    assert samples.names() & {"pg_stat_user_tables_n_live_tup", "pg_replication_lag_seconds", "pg_database_size_bytes"}
    return samples.names()


@pytest.fixture
async def of_modern(modern, make_reader):
    """Return the metrics of a PostgreSQL 18 with a damaged page of a table."""
    modern.sql("CREATE TABLE damaged (id int); INSERT INTO damaged VALUES (1); CHECKPOINT")
    modern.sql("CREATE SUBSCRIPTION orders CONNECTION 'dbname=x' PUBLICATION orders WITH (connect = false)")
    modern.sql("SELECT pg_create_physical_replication_slot('outrun', true)")
    modern.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    modern.sql("SELECT pg_reload_conf()")
    for _ in range(3):
        modern.sql("CREATE TABLE written (id int); DROP TABLE written; SELECT pg_switch_wal()")
    modern.sql("CHECKPOINT")
    modern.sql("SELECT pg_create_logical_replication_slot('decoding', 'pgoutput')")
    file = modern.place().data / modern.sql("SELECT pg_relation_filepath('damaged')")
    modern.stop()
    with file.open("r+b") as page:
        page.seek(8000)
        page.write(b"damage")
    modern.start()
    with pytest.raises(Exception, match="invalid page"):
        modern.sql("SELECT * FROM damaged")
    reader = make_reader(modern.dsn("metrics"))
    samples = await reader.until(
        lambda samples: samples.value("pg_stat_database_checksum_failures_total", datname="postgres")
    )
    samples = await reader.all()
    assert failed_parts(samples) == []
    assert samples.value("pg_replication_slot_conflicting", slot_name="decoding") == 0
    assert samples.value("pg_replication_slot_invalidated", slot_name="outrun", reason="wal_removed") == 1
    assert samples.value("pg_replication_slot_xmin_age_transactions", slot_name="decoding") >= 0
    assert samples.value("pg_stat_subscription_conflicts_total", subname="orders") == 0
    assert samples.series("pg_stat_io_reads_total", context="normal")
    return samples.names()


@pytest.fixture
async def of_16(server16, make_reader):
    samples = await make_reader(server16.dsn("metrics")).all()
    assert failed_parts(samples) == []
    assert samples.value("pg_settings_reserved_connections") == 0
    return samples.names()


async def test_every_metric_is_exported_by_a_real_server(of_primary, of_standby, of_modern, of_16) -> None:
    # The certificate is that of a connection with TLS; test_tls.py has one.
    declared = {metric.name for metric in PostgresCollector.metrics} - {UP.name, CERT_EXPIRY.name}
    assert declared - (of_primary | of_standby | of_modern | of_16) == set()


async def test_no_part_fails_on_an_empty_server_of_any_version(postgres_server, modern, server16, make_reader) -> None:
    for server in (postgres_server, server16, modern):
        reader = make_reader(server.dsn())
        first = await reader.read()
        assert failed_parts(first) == []
        await asyncio.sleep(0)
        assert reader.reading.round_trips == 1


@pytest.fixture
def state_version(monkeypatch):
    """Give a function that lets servers state another major version than their own."""
    read_facts = ServerInfo.of

    def state(version: int) -> None:
        monkeypatch.setattr(ServerInfo, "of", lambda facts: replace(read_facts(facts), version=version))

    return state


async def test_parts_of_an_unknown_newer_version_are_tried_one_by_one(modern, make_reader, state_version) -> None:
    whole = await make_reader(modern.dsn()).read()
    state_version(99)  # the part of the subscriptions has columns that only a newer server has
    reader = make_reader(modern.dsn())
    samples = await reader.read()
    assert failed_parts(samples) == ["subscriptions"]
    assert {name for name in whole.names() if "subscription" not in name} <= samples.names()
    [note] = reader.reading.notes
    assert note.startswith("part 'subscriptions' is left out: column")
    await reader.read()
    await reader.read()
    assert reader.reading.round_trips == 1


async def test_unsupported_older_version_is_named(postgres_server, make_reader, state_version) -> None:
    state_version(12)
    reader = make_reader(postgres_server.dsn())
    await reader.read()
    assert "PostgreSQL 12 is not supported, so metrics are missing; upgrade it to 13 or newer" in reader.reading.notes


async def test_io_metrics_exclude_wal(modern, make_reader) -> None:
    modern.sql("CREATE TABLE logged AS SELECT generate_series(1, 1000) AS id; SELECT pg_switch_wal(); CHECKPOINT")
    modern.sql("SELECT pg_stat_force_next_flush()")
    assert int(modern.sql("SELECT sum(writes) FROM pg_stat_io WHERE context = 'init' AND object = 'wal'")) > 0
    samples = await make_reader(modern.dsn("metrics")).read()
    assert samples.series("pg_stat_io_writes_total", context="normal")
    assert samples.series("pg_stat_io_writes_total", context="init") == []  # this context contains only WAL
