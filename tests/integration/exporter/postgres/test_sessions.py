"""Sessions, locks and holders of the xmin horizon, against states of a real server."""

import asyncpg
import pytest


async def test_sessions_are_counted_by_role_type_and_state(reader, database, connect, metrics_server) -> None:
    metrics_server.add_role('o"ncall é', "CONNECTION LIMIT 7")
    try:
        before = await reader.read()
        for _ in range(2):
            await connect(database.dsn('o"ncall é').replace('"', "%22").replace(" ", "%20"))
        samples = await reader.read()
    finally:
        metrics_server.sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename LIKE 'o\"ncall%'"
        )
        metrics_server.sql('DROP ROLE "o""ncall é"')
    assert samples.value("pg_user_connections", usename='o"ncall é') == 2
    assert samples.value("pg_roles_connection_limit", rolname='o"ncall é') == 7
    assert samples.value("pg_connections", datname=database.name, state="idle") == 2
    added = [read.value("pg_backends", backend_type="client backend") or 0 for read in (before, samples)]
    assert added[1] - added[0] == 2
    assert samples.value("pg_backends", backend_type="checkpointer") == 1


async def test_aborted_transaction_has_its_own_age(reader, database, connect) -> None:
    session = await connect()
    await session.execute("BEGIN")
    samples = await reader.read()
    assert samples.value("pg_idle_in_transaction_aborted_max_age_seconds", datname=database.name) == 0
    assert samples.value("pg_transaction_max_age_seconds", datname=database.name) > 0
    with pytest.raises(asyncpg.DivisionByZeroError):
        await session.execute("SELECT 1/0")
    name = "pg_idle_in_transaction_aborted_max_age_seconds"
    samples = await reader.until(lambda samples: samples.value(name, datname=database.name) >= 0.05)
    aborted = samples.value(name, datname=database.name)
    assert aborted <= samples.value("pg_idle_in_transaction_max_age_seconds", datname=database.name)
    assert samples.value("pg_connections", datname=database.name, state="idle in transaction (aborted)") == 1


async def test_query_age_is_reported_by_database_and_process_type(reader, database, connect, waiting) -> None:
    async with waiting(await connect(), "SELECT pg_sleep(30)"):
        name = "pg_query_max_age_seconds"
        samples = await reader.until(lambda samples: samples.value(name, datname=database.name) > 0)
    assert samples.value("pg_backend_query_max_age_seconds", backend_type="client backend") > 0
    assert samples.value("pg_backend_transaction_max_age_seconds", backend_type="client backend") > 0
    assert samples.value("pg_backend_query_max_age_seconds", backend_type="checkpointer") is None


async def test_waiters_behind_a_blocked_alter_are_not_counted_as_blocking(reader, database, connect, waiting) -> None:
    database.sql('CREATE TABLE "a ""b" (id int); CREATE TABLE other (id int); INSERT INTO other VALUES (1)')
    quiet = await reader.read()
    assert (quiet.value("pg_sessions_blocked"), quiet.value("pg_sessions_blocking")) == (0, 0)
    holder = await connect()
    await holder.execute('BEGIN; SELECT * FROM "a ""b"')
    async with (
        waiting(await connect(), 'ALTER TABLE "a ""b" ADD y int'),
        waiting(await connect(), 'ALTER TABLE "a ""b" ADD z int'),
    ):
        samples = await reader.until(lambda samples: samples.value("pg_sessions_blocked") == 2)
        assert (
            samples.value("pg_sessions_blocking") == 1
        )  # only the idle transaction; the waiters hold no granted lock that blocks
        assert samples.value("pg_blocked_max_age_seconds") > 0
        assert samples.value("pg_locks", datname=database.name, mode="AccessExclusiveLock", granted="false") == 2
        assert samples.value("pg_locks", datname=database.name, mode="AccessShareLock", granted="true") >= 1
        # The scrape does not wait, and the background skips the locked table.
        assert samples.series("pg_stat_user_tables_n_live_tup", relname='a "b')
        sizes = await reader.run("table sizes")
        assert [labels["relname"] for labels, _ in sizes.series("pg_stat_user_tables_table_size_bytes")] == ["other"]


async def test_holder_of_a_compatible_lock_is_not_counted_as_blocking(reader, database, connect, waiting) -> None:
    database.sql("CREATE TABLE t (id int)")
    sharing, reading = await connect(), await connect()
    await sharing.execute("BEGIN; LOCK TABLE t IN SHARE MODE")
    await reading.execute("BEGIN; SELECT * FROM t")
    async with waiting(await connect(), "INSERT INTO t VALUES (1)"):
        samples = await reader.until(lambda samples: samples.value("pg_sessions_blocked") == 1)
        assert samples.value("pg_sessions_blocking") == 1


async def test_holders_of_advisory_and_row_locks_are_counted_as_blocking(reader, database, connect, waiting) -> None:
    database.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    holder, other = await connect(), await connect()
    await holder.execute("BEGIN; UPDATE t SET id = 1")
    await other.execute("SELECT pg_advisory_lock(7)")
    async with (
        waiting(await connect(), "UPDATE t SET id = 1"),
        waiting(await connect(), "SELECT pg_advisory_lock(7)"),
    ):
        samples = await reader.until(lambda samples: samples.value("pg_sessions_blocked") == 2)
        assert samples.value("pg_sessions_blocking") == 2


async def test_open_snapshot_holds_back_vacuum(reader, database, connect) -> None:
    session = await connect(database.dsn())
    await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    writer = await connect()
    for _ in range(5):
        await writer.execute("SELECT txid_current()")
    samples = await reader.read()
    assert samples.value("pg_xmin_horizon_age", holder="session") >= 5
    assert samples.value("pg_xmin_horizon_age", holder="prepared transaction") == 0
    assert len(samples.series("pg_xmin_horizon_age")) == 5
    assert samples.value("pg_xid_age", datname="template0") > 0
    assert samples.value("pg_multixact_age", datname=database.name) >= 0


async def test_role_name_with_special_characters_reads_all_parts(make_reader, metrics_server, database) -> None:
    metrics_server.sql("""CREATE ROLE "My ""Metrics" LOGIN PASSWORD 'x' IN ROLE pg_monitor""")
    try:
        dsn = f"postgresql://My%20%22Metrics:x@127.0.0.1:{metrics_server.port}/{database.name}"
        samples = await make_reader(dsn).read()
        assert [value for _, value in samples.series("runbook_exporter_part_success") if value == 0] == []
        assert samples.value("pg_query_max_age_seconds", datname=database.name) == 0
    finally:
        metrics_server.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename LIKE 'My%'")
        metrics_server.sql('DROP ROLE "My ""Metrics"')


async def test_ages_are_unknown_while_a_session_hides_what_it_does(reader, database, connect) -> None:
    session = await connect()
    samples = await reader.read()
    assert samples.value("pg_idle_in_transaction_max_age_seconds", datname=database.name) == 0
    await session.execute("SET track_activities = off")
    samples = await reader.read()
    assert samples.value("pg_connections", datname=database.name, state="disabled") == 1
    assert samples.value("pg_idle_in_transaction_max_age_seconds", datname=database.name) is None
    assert samples.value("pg_idle_in_transaction_max_age_seconds", datname="postgres") == 0
