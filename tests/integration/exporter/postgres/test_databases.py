"""Databases, tables, indexes, sequences and statements, against states of a real server."""

import time

import asyncpg
import pytest

from exporter.errors import DEADLINE_EXCEEDED, TargetRefused
from exporter.postgres import session as job_session
from exporter.postgres.parts.indexes import INDEXES
from exporter.postgres.parts.joined_statement import TABLES
from exporter.postgres.parts.top_statements import OTHER, STATEMENTS

FLUSH = "SELECT pg_stat_force_next_flush()"
STRANGE = 'Straße "x"\\y'
QUOTED = '"Straße ""x""\\y"'


async def test_database_counters_increase_and_show_their_reset(reader, database, connect) -> None:
    session = await connect()
    before = await reader.read()
    await session.execute("BEGIN; SELECT 1; ROLLBACK")
    await session.execute("SET work_mem = '64kB'")
    await session.fetch("SELECT * FROM generate_series(1, 50000) AS g ORDER BY g DESC")
    await session.execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS id; UPDATE t SET id = 0; DELETE FROM t")
    await session.execute(FLUSH)
    name = "pg_stat_database_temp_files_total"
    after = await reader.until(lambda samples: samples.value(name, datname=database.name) > 0)

    def grown(name: str) -> float:
        return after.value(name, datname=database.name) - before.value(name, datname=database.name)

    assert grown("pg_stat_database_temp_bytes_total") > 100_000
    assert grown("pg_stat_database_xact_rollback_total") >= 1
    assert grown("pg_stat_database_xact_commit_total") >= 1
    assert grown("pg_stat_database_tup_updated_total") >= 10
    assert grown("pg_stat_database_tup_deleted_total") >= 10
    assert grown("pg_stat_database_blks_hit_total") > 0
    assert after.value("pg_stat_database_stats_reset_timestamp_seconds", datname=database.name) is None
    await session.execute("SELECT pg_stat_reset()")
    after = await reader.read()
    assert after.value("pg_stat_database_stats_reset_timestamp_seconds", datname=database.name) == pytest.approx(
        time.time(), abs=60
    )


async def test_table_maintenance_is_absent_until_it_happened(reader, database, connect) -> None:
    session = await connect()
    await session.execute(f"CREATE SCHEMA {QUOTED}; CREATE TABLE {QUOTED}.{QUOTED} (id int PRIMARY KEY, note text)")
    await session.execute(f"INSERT INTO {QUOTED}.{QUOTED} SELECT g, NULL FROM generate_series(1, 1000) AS g")
    await session.execute(f"DELETE FROM {QUOTED}.{QUOTED} WHERE id <= 300; {FLUSH}")
    labels = {"datname": database.name, "schemaname": STRANGE, "relname": STRANGE}
    samples = await reader.until(lambda samples: samples.value("pg_stat_user_tables_n_dead_tup", **labels) == 300)
    assert samples.value("pg_stat_user_tables_n_live_tup", **labels) == 700
    assert samples.value("pg_stat_user_tables_n_mod_since_analyze", **labels) == 1300
    assert samples.value("pg_stat_user_tables_n_tup_del_total", **labels) == 300
    assert samples.value("pg_stat_user_tables_last_analyze_timestamp_seconds", **labels) is None
    assert samples.value("pg_stat_user_tables_last_vacuum_timestamp_seconds", **labels) is None
    assert samples.value("pg_tables", datname=database.name) == 1
    await session.execute(f"VACUUM ANALYZE {QUOTED}.{QUOTED}")
    await session.execute(f"SET enable_seqscan = off; SELECT * FROM {QUOTED}.{QUOTED} WHERE id = 400; {FLUSH}")
    samples = await reader.until(lambda samples: samples.value("pg_stat_user_tables_idx_scan_total", **labels))
    assert samples.value("pg_stat_user_tables_n_dead_tup", **labels) == 0
    assert samples.value("pg_stat_user_tables_n_mod_since_analyze", **labels) == 0
    for name in ("analyze", "vacuum"):
        at = samples.value(f"pg_stat_user_tables_last_{name}_timestamp_seconds", **labels)
        assert at == pytest.approx(time.time(), abs=60)
        assert samples.value(f"pg_stat_user_tables_{name}_total", **labels) == 1


async def test_database_without_tables_reports_zero_counts(reader, database) -> None:
    samples = await reader.all()
    assert samples.value("pg_tables", datname=database.name) == 0
    assert samples.value("pg_indexes", datname=database.name) == 0
    assert samples.value("pg_sequences", datname=database.name) == 0
    assert samples.series("pg_stat_user_tables_n_live_tup") == []


async def test_largest_tables_are_chosen_in_a_stable_order(reader, database) -> None:
    number = TABLES + 150
    database.sql("".join(f"CREATE TABLE t{i:03} (id int);" for i in range(number)))
    database.sql("INSERT INTO t200 SELECT generate_series(1, 50); SELECT pg_stat_force_next_flush()")
    samples = await reader.until(lambda samples: samples.series("pg_stat_user_tables_n_live_tup", relname="t200"))
    names = {labels["relname"] for labels, _ in samples.series("pg_stat_user_tables_n_live_tup")}
    assert names == {"t200", *(f"t{i:03}" for i in range(TABLES - 1))}  # ties by name
    assert samples.value("pg_tables", datname=database.name) == number
    assert reader.reading.round_trips == 1


async def test_sizes_dead_bytes_and_bloat_match_the_server(reader, database) -> None:
    make = "(id int, filler text) WITH (autovacuum_enabled = off)"
    fill = "SELECT g, repeat('x', 100) FROM generate_series(1, 20000) AS g"
    database.sql(f"CREATE TABLE full_one {make}; CREATE TABLE bloated {make}; CREATE TABLE secret {make}")
    database.sql("".join(f"INSERT INTO {name} {fill};" for name in ("full_one", "bloated", "secret")))
    database.sql(f"DELETE FROM bloated WHERE id % 10 <> 0; CREATE INDEX ON full_one (id); {FLUSH}")
    database.sql("GRANT SELECT ON full_one, bloated TO metrics; ANALYZE")

    def value(name: str, relname: str) -> float | None:
        return samples.value(name, relname=relname, schemaname="public", datname=database.name)

    samples = await reader.until(
        lambda samples: samples.value("pg_stat_user_tables_n_dead_tup", relname="bloated") == 18000
    )
    samples = await reader.run("table sizes")
    size = value("pg_stat_user_tables_table_size_bytes", "bloated")
    assert size == int(database.sql("SELECT pg_table_size('bloated')"))
    assert value("pg_table_dead_bytes", "bloated") == pytest.approx(0.9 * size, rel=0.05)
    assert value("pg_table_bloat_bytes", "bloated") == pytest.approx(0.9 * size, rel=0.05)
    assert value("pg_table_bloat_bytes", "full_one") < 0.1 * size
    assert value("pg_table_bloat_bytes", "secret") is None  # the role may not read its statistics
    assert value("pg_stat_user_tables_index_size_bytes", "full_one") > 0
    sizes = await reader.run("database sizes")
    assert sizes.value("pg_database_size_bytes", datname=database.name) == pytest.approx(
        int(database.sql("SELECT pg_database_size(current_database())")), rel=0.01
    )


async def test_unused_and_invalid_indexes_are_counted(reader, database, connect) -> None:
    database.sql(f"CREATE TABLE t (id int PRIMARY KEY, a int, b int); CREATE INDEX {QUOTED} ON t (a)")
    database.sql("CREATE INDEX used ON t (b); INSERT INTO t VALUES (1, 1, 1), (2, 1, 2); ANALYZE t")
    session = await connect()
    with pytest.raises(asyncpg.UniqueViolationError):
        await session.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON t (a)")
    await session.execute("SET enable_seqscan = off; SELECT * FROM t WHERE b = 1; SELECT pg_stat_force_next_flush()")
    samples = await reader.run("indexes")
    here_labels = {"datname": database.name, "schemaname": "public", "relname": "t"}
    assert samples.value("pg_indexes", datname=database.name) == 4
    assert samples.value("pg_invalid_indexes", datname=database.name) == 1
    assert samples.value("pg_unused_indexes", datname=database.name) == 1
    assert samples.value("pg_unused_index_bytes", datname=database.name) > 0
    assert samples.value("pg_index_valid", indexrelname="broken", **here_labels) == 0
    assert samples.value("pg_stat_user_indexes_idx_scan_total", indexrelname=STRANGE, **here_labels) == 0
    assert samples.value("pg_stat_user_indexes_idx_scan_total", indexrelname="used", **here_labels) >= 1
    assert samples.value("pg_index_valid", indexrelname="used", **here_labels) == 1


async def test_invalid_indexes_are_listed_before_valid_ones(reader, database) -> None:
    database.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)")
    database.sql("".join(f"CREATE INDEX a{i:03} ON t (id);" for i in range(INDEXES + 10)))
    with pytest.raises(Exception, match="could not create unique index"):
        database.sql("CREATE UNIQUE INDEX CONCURRENTLY zzz ON t (id)")
    samples = await reader.run("indexes")
    assert len(samples.series("pg_index_valid")) == INDEXES
    assert samples.value("pg_index_valid", indexrelname="zzz") == 0


async def test_sequence_usage_considers_column_type_and_direction(reader, database) -> None:
    database.sql(
        "CREATE TABLE narrow (id int); CREATE SEQUENCE wide OWNED BY narrow.id; SELECT setval('wide', 2000000000)"
    )
    database.sql("CREATE SEQUENCE fresh; CREATE SEQUENCE down INCREMENT -1 MINVALUE -100; SELECT setval('down', -51)")
    database.sql("CREATE SEQUENCE again MAXVALUE 10 CYCLE; SELECT setval('again', 10); CREATE SEQUENCE hidden")
    database.sql("GRANT SELECT ON wide, fresh, down, again TO metrics")
    samples = await reader.run("sequences")
    used = {labels["sequencename"]: value for labels, value in samples.series("pg_sequence_used_ratio")}
    assert used.keys() == {"wide", "fresh", "down"}
    assert used["wide"] == pytest.approx(2_000_000_000 / 2_147_483_647)  # the column ends long before the sequence
    assert used["fresh"] == 0
    assert used["down"] == pytest.approx(0.505, abs=0.01)
    assert samples.value("pg_sequences", datname=database.name) == 5
    assert samples.value("pg_sequences_unreadable", datname=database.name) == 1


@pytest.fixture
async def statements(database, metrics_server, connect):
    """Give a session of a database in which only this test's statements are counted."""
    database.sql("CREATE EXTENSION pg_stat_statements SCHEMA public")
    session = await connect()
    await session.execute("SELECT pg_stat_statements_reset()")
    return session


async def test_unlisted_statements_are_summed_as_other(reader, database, statements) -> None:
    for number in range(STATEMENTS + 20):
        await statements.fetch(f"SELECT {', '.join(['1'] * (number + 1))}")
    first = await reader.read()
    await statements.fetch("SELECT 1, 1, 1")
    calls = "pg_stat_statements_calls_total"
    second = await reader.read()
    for samples in (first, second):
        listed = [labels["queryid"] for labels, _ in samples.series(calls) if labels["queryid"] != OTHER]
        assert len(listed) == len(set(listed)) == STATEMENTS
    assert first.value(calls, datname=database.name, queryid=OTHER) == 0
    grown = [sum(value for _, value in samples.series(calls, datname=database.name)) for samples in (first, second)]
    assert grown[1] - grown[0] >= 1
    assert second.value("pg_stat_statements_dealloc_total") == 0
    assert reader.reading.round_trips == 1


async def test_statement_of_several_roles_and_levels_is_one_series(reader, database, statements, connect) -> None:
    await statements.execute("SET pg_stat_statements.track = 'all'")
    await statements.execute("DO $$ BEGIN PERFORM 4711 AS needle; END $$")
    database.sql("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 4711 AS needle'")
    await statements.fetch("SELECT 4711 AS needle")
    other = await connect(database.dsn("metrics"))
    await other.fetch("SELECT 4711 AS needle")
    rows = int(database.sql("SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'SELECT $1 AS needle%'"))
    assert rows >= 2
    [queryid] = set(
        database.sql("SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT $1 AS needle%'").split()
    )
    assert (await reader.read()).value("pg_stat_statements_calls_total", datname=database.name, queryid=queryid) >= 2


async def test_texts_are_read_only_if_enabled_and_only_of_queries(reader, make_reader, database, statements) -> None:
    await statements.fetch("SELECT  4711\n AS \"needle \\ 'é'\"")
    await statements.execute("CREATE ROLE passing PASSWORD 'hunter2'; DROP ROLE passing")
    assert "statement texts" not in {job.name for job in reader.collector.jobs.jobs}
    enabled = make_reader(database.dsn("metrics"), statement_texts=True)
    samples = await enabled.run("statement texts")
    texts = [labels["query"] for labels, _ in samples.series("pg_stat_statements_query_info", datname=database.name)]
    assert "SELECT $1 AS \"needle \\ 'é'\"" in texts
    assert "hunter2" not in "".join(texts)


async def test_matching_databases_are_read_one_after_the_other(make_reader, metrics_server, database) -> None:
    names = [f"{database.name}_{ending}" for ending in ("a", 'b "x"', "closed")]
    for name in names:
        metrics_server.add_database(name)
        metrics_server.sql("CREATE TABLE found (id int)", database=name)
    metrics_server.sql(f"REVOKE CONNECT ON DATABASE {names[2]} FROM PUBLIC")
    try:
        reader = make_reader(database.dsn("metrics"), databases=(f"{database.name}_*",))
        tables, sizes = await reader.run("tables"), await reader.run("table sizes")
        for samples, name in (
            (tables, "pg_stat_user_tables_n_live_tup"),
            (sizes, "pg_stat_user_tables_table_size_bytes"),
        ):
            read = {labels["datname"] for labels, _ in samples.series(name, relname="found")}
            assert read == set(names[:2])
            assert samples.value("runbook_exporter_database_success", datname=names[1]) == 1
    finally:
        for name in names:
            metrics_server.drop_database(name)


async def test_failed_database_keeps_its_last_samples(make_reader, metrics_server, database) -> None:
    names = [f"{database.name}_{ending}" for ending in ("full", "open")]
    for name in names:
        metrics_server.add_database(name)
        metrics_server.sql("CREATE TABLE found (id int)", database=name)
    try:
        reader = make_reader(database.dsn("metrics"), databases=(f"{database.name}_*",))
        first = await reader.run("table sizes")
        metrics_server.sql(f"ALTER DATABASE {names[0]} CONNECTION LIMIT 0")
        second = await reader.run("table sizes")
        size = "pg_stat_user_tables_table_size_bytes"
        assert {labels["datname"] for labels, _ in first.series(size)} == set(names)
        assert first.series(size) == second.series(size)
        success = {labels["datname"]: value for labels, value in second.series("runbook_exporter_database_success")}
        assert success == {names[0]: 0, names[1]: 1}
    finally:
        for name in names:
            metrics_server.drop_database(name)


@pytest.fixture
async def held(metrics_server, database, connect, monkeypatch):
    """Create two further databases; the first refuses connections, as a template does while it is copied."""
    monkeypatch.setattr(job_session, "FURTHER_SECONDS", 1.0)
    names = [f"{database.name}_{ending}" for ending in ("held", "open")]
    for name in names:
        metrics_server.add_database(name)
        metrics_server.sql("CREATE TABLE found (id int)", database=name)
    holder = await connect()
    await holder.execute(f"BEGIN; ALTER DATABASE {names[0]} RENAME TO {names[0]}_renamed")
    yield names
    await holder.execute("ROLLBACK")
    for name in names:
        metrics_server.drop_database(name)


async def test_database_that_refuses_connections_does_not_affect_others(make_reader, database, held) -> None:
    database.sql("CREATE TABLE found (id int)")
    samples = await make_reader(database.dsn("metrics"), databases=(f"{database.name}_*",)).run("table sizes")
    sizes = samples.series("pg_stat_user_tables_table_size_bytes", relname="found")
    assert {labels["datname"] for labels, _ in sizes} == {database.name, held[1]}
    success = {labels["datname"]: value for labels, value in samples.series("runbook_exporter_database_success")}
    assert success == {held[0]: 0, held[1]: 1}


async def test_job_past_its_deadline_keeps_the_samples_read_so_far(
    make_reader, database, held, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(job_session, "FURTHER_SECONDS", 60.0)
    database.sql("CREATE TABLE found (id int)")
    samples = await make_reader(database.dsn("metrics"), databases=(f"{database.name}_*",)).run("table sizes")
    assert samples.series("pg_stat_user_tables_table_size_bytes", relname="found", datname=database.name)
    assert samples.value("runbook_exporter_database_success", datname=held[1]) == 0
    [warning] = [line for line in capsys.readouterr().out.splitlines() if held[1] in line]
    assert DEADLINE_EXCEEDED in warning  # not even connected to, because many such databases would outlast the job


async def test_query_in_an_unreachable_database_does_not_mark_the_server_down(make_reader, database, held) -> None:
    query = {"sql": "SELECT 1 AS n", "database": held[0], "values": {"n": {"type": "gauge", "help": "One."}}}
    with pytest.raises(TargetRefused, match=f"database '{held[0]}': the connection timed out"):
        await make_reader(database.dsn("metrics"), queries={"one": query}).run("queries.one")
