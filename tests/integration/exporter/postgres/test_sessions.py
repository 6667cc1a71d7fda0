"""Sessions, locks and who holds back vacuum, against situations made on a real server."""

import asyncio

import asyncpg
import pytest


async def test_sessions_are_counted_by_role_type_and_state(here, database, connect, metrics_server) -> None:
    metrics_server.add_role('o"ncall é', "CONNECTION LIMIT 7")
    try:
        before = await here.read()
        for _ in range(2):
            await connect(database.dsn('o"ncall é').replace('"', "%22").replace(" ", "%20"))
        found = await here.read()
    finally:
        metrics_server.sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename LIKE 'o\"ncall%'"
        )
        metrics_server.sql('DROP ROLE "o""ncall é"')
    assert found.value("pg_user_connections", usename='o"ncall é') == 2
    assert found.value("pg_roles_connection_limit", rolname='o"ncall é') == 7
    assert found.value("pg_connections", datname=database.name, state="idle") == 2
    added = [read.value("pg_backends", backend_type="client backend") or 0 for read in (before, found)]
    assert added[1] - added[0] == 2
    assert found.value("pg_backends", backend_type="checkpointer") == 1


async def test_an_aborted_transaction_has_an_age_of_its_own(here, database, connect) -> None:
    session = await connect()
    await session.execute("BEGIN")
    found = await here.read()
    assert found.value("pg_idle_in_transaction_aborted_max_age_seconds", datname=database.name) == 0
    assert found.value("pg_transaction_max_age_seconds", datname=database.name) > 0
    with pytest.raises(asyncpg.DivisionByZeroError):
        await session.execute("SELECT 1/0")
    await asyncio.sleep(0.05)
    found = await here.read()
    aborted = found.value("pg_idle_in_transaction_aborted_max_age_seconds", datname=database.name)
    assert 0.05 <= aborted <= found.value("pg_idle_in_transaction_max_age_seconds", datname=database.name)
    assert found.value("pg_connections", datname=database.name, state="idle in transaction (aborted)") == 1


async def test_a_query_ages_by_database_and_type_of_process(here, database, connect, waiting) -> None:
    async with waiting(await connect(), "SELECT pg_sleep(30)"):
        name = "pg_query_max_age_seconds"
        found = await here.until(lambda found: found.value(name, datname=database.name) > 0)
    assert found.value("pg_backend_query_max_age_seconds", backend_type="client backend") > 0
    assert found.value("pg_backend_transaction_max_age_seconds", backend_type="client backend") > 0
    assert found.value("pg_backend_query_max_age_seconds", backend_type="checkpointer") is None


async def test_a_blocked_alter_and_who_waits_behind_it(here, database, connect, waiting) -> None:
    database.sql('CREATE TABLE "a ""b" (id int); CREATE TABLE other (id int); INSERT INTO other VALUES (1)')
    quiet = await here.read()
    assert (quiet.value("pg_sessions_blocked"), quiet.value("pg_sessions_blocking")) == (0, 0)
    holder = await connect()
    await holder.execute('BEGIN; SELECT * FROM "a ""b"')
    async with (
        waiting(await connect(), 'ALTER TABLE "a ""b" ADD y int'),
        waiting(await connect(), 'ALTER TABLE "a ""b" ADD z int'),
    ):
        found = await here.until(lambda found: found.value("pg_sessions_blocked") == 2)
        assert found.value("pg_sessions_blocking") == 1  # the idle transaction; nobody waits for a lock of its own
        assert found.value("pg_blocked_max_age_seconds") > 0
        assert found.value("pg_locks", datname=database.name, mode="AccessExclusiveLock", granted="false") == 2
        assert found.value("pg_locks", datname=database.name, mode="AccessShareLock", granted="true") >= 1
        # The scrape is not held up, and the background skips what it would have to wait for.
        assert found.series("pg_stat_user_tables_n_live_tup", relname='a "b')
        sizes = await here.run("table sizes")
        assert [labels["relname"] for labels, _ in sizes.series("pg_stat_user_tables_table_size_bytes")] == ["other"]


async def test_who_holds_a_lock_that_is_in_nobodys_way_blocks_nobody(here, database, connect, waiting) -> None:
    database.sql("CREATE TABLE t (id int)")
    sharing, reading = await connect(), await connect()
    await sharing.execute("BEGIN; LOCK TABLE t IN SHARE MODE")
    await reading.execute("BEGIN; SELECT * FROM t")
    async with waiting(await connect(), "INSERT INTO t VALUES (1)"):
        found = await here.until(lambda found: found.value("pg_sessions_blocked") == 1)
        assert found.value("pg_sessions_blocking") == 1


async def test_advisory_and_row_locks_show_who_blocks(here, database, connect, waiting) -> None:
    database.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    holder, other = await connect(), await connect()
    await holder.execute("BEGIN; UPDATE t SET id = 1")
    await other.execute("SELECT pg_advisory_lock(7)")
    async with (
        waiting(await connect(), "UPDATE t SET id = 1"),
        waiting(await connect(), "SELECT pg_advisory_lock(7)"),
    ):
        found = await here.until(lambda found: found.value("pg_sessions_blocked") == 2)
        assert found.value("pg_sessions_blocking") == 2


async def test_who_holds_back_vacuum(here, database, connect) -> None:
    session = await connect(database.dsn())
    await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    writer = await connect()
    for _ in range(5):
        await writer.execute("SELECT txid_current()")
    found = await here.read()
    assert found.value("pg_xmin_horizon_age", holder="session") >= 5
    assert found.value("pg_xmin_horizon_age", holder="prepared transaction") == 0
    assert len(found.series("pg_xmin_horizon_age")) == 5
    assert found.value("pg_xid_age", datname="template0") > 0
    assert found.value("pg_multixact_age", datname=database.name) >= 0


async def test_a_role_with_a_strange_name_reads_all_and_is_no_session_of_the_product(
    subject, metrics_server, database
) -> None:
    metrics_server.sql("""CREATE ROLE "My ""Metrics" LOGIN PASSWORD 'x' IN ROLE pg_monitor""")
    try:
        dsn = f"postgresql://My%20%22Metrics:x@127.0.0.1:{metrics_server.port}/{database.name}"
        found = await subject(dsn).read()
        assert [value for _, value in found.series("runbook_exporter_part_success") if value == 0] == []
        assert found.value("pg_query_max_age_seconds", datname=database.name) == 0
    finally:
        metrics_server.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename LIKE 'My%'")
        metrics_server.sql('DROP ROLE "My ""Metrics"')
