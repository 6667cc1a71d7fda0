"""Behind pgbouncer in transaction mode: no prepared statements, no session limits, the same samples."""

import asyncio
from collections.abc import Iterator

import pytest

from demo.servers.pgbouncer import PgBouncerServer
from exporter.errors import TargetRefused

IGNORED = "default_transaction_read_only,statement_timeout,lock_timeout,jit,runbook_exporter.direct"


@pytest.fixture(scope="module", params=["", IGNORED], ids=["refuses settings", "ignores settings"])
def pooler(request, servers_folder, metrics_server) -> Iterator[PgBouncerServer]:
    """Start a pooler whose clients share its connections to the server."""
    more = {"ignore_startup_parameters": request.param} if request.param else {}
    name = "ignoring_pgbouncer" if request.param else "refusing_pgbouncer"
    server = PgBouncerServer(servers_folder / name, metrics_server, settings={"default_pool_size": "2", **more})
    server.start()
    yield server
    server.remove()


async def test_pooled_reading_has_all_metrics_in_at_most_two_round_trips(reader, make_reader, pooler, database) -> None:
    database.sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE t (id int)")
    direct = await reader.read()
    pooled = make_reader(pooler.dsn("metrics", database.name))
    samples = await pooled.read()
    assert samples.names() == direct.names()
    assert pooled.reading.round_trips <= 2
    assert [note for note in pooled.reading.notes if "pooler" in note]
    assert [note for note in reader.reading.notes if "pooler" in note] == []
    assert database.sql("SELECT count(*) FROM pg_prepared_statements") == "0"


async def test_concurrent_readers_and_jobs_succeed_through_the_pooler(make_reader, pooler, database) -> None:
    readers = [make_reader(pooler.dsn("metrics", database.name)) for _ in range(5)]
    for _ in range(4):
        samples = await asyncio.gather(*(reader.read() for reader in readers), readers[0].run("table sizes"))
        for each in samples[:-1]:
            assert each.value("pg_tables", datname=database.name) == 0
            assert [value for _, value in each.series("runbook_exporter_part_success") if value == 0] == []


async def test_hanging_part_is_found_by_the_second_deadline(make_reader, pooler, database, connect) -> None:
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver IN ACCESS EXCLUSIVE MODE")
    pooled = make_reader(pooler.dsn("metrics", database.name))
    for _ in range(2):  # the first shows that a part hangs, the second shows which
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await pooled.read()
        await pooled.client.close()
    async with asyncio.timeout(60):
        samples = await pooled.read()
    assert [labels["part"] for labels, value in samples.series("runbook_exporter_part_success") if value == 0] == [
        "archiver"
    ]
    assert "part 'archiver' is left out: no answer before the deadline" in pooled.reading.notes


@pytest.fixture(scope="module")
def statement_pooler(servers_folder, metrics_server) -> Iterator[PgBouncerServer]:
    settings = {"pool_mode": "statement", "admin_users": "metrics", "stats_users": "metrics"}
    server = PgBouncerServer(servers_folder / "statement_pgbouncer", metrics_server, settings=settings)
    server.start()
    yield server
    server.remove()


async def test_pooler_by_statement_and_admin_database_are_named(make_reader, statement_pooler, database) -> None:
    with pytest.raises(TargetRefused, match="the pooler allows no transactions; set pool_mode"):
        await make_reader(statement_pooler.dsn("metrics", database.name)).read()
    with pytest.raises(TargetRefused, match="this is the admin database of a pooler"):
        await make_reader(statement_pooler.dsn("metrics", "pgbouncer")).read()


async def test_standby_behind_a_pooler_is_read_with_a_serializable_role(
    make_reader, servers_folder, metrics_server, standby
) -> None:
    pooler = PgBouncerServer(servers_folder / "standby_pgbouncer", standby)
    pooler.start()
    metrics_server.sql("ALTER ROLE metrics SET default_transaction_isolation = 'serializable'")
    try:
        await asyncio.sleep(0.5)
        reader = make_reader(pooler.dsn("metrics", "postgres"))
        samples = await reader.read()
        assert samples.value("pg_replication_is_replica") == 1
        assert [labels for labels, value in samples.series("runbook_exporter_part_success") if value == 0] == []
        assert (await reader.run("database sizes")).series("pg_database_size_bytes")
    finally:
        metrics_server.sql("ALTER ROLE metrics RESET ALL")
        pooler.remove()
