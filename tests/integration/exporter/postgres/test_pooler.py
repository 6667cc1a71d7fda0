"""Behind pgbouncer in transaction mode: nothing prepared, nothing asked of others' sessions, the same numbers."""

import asyncio
from collections.abc import Iterator

import pytest

from demo.servers.pgbouncer import PgBouncerServer

IGNORED = "default_transaction_read_only,statement_timeout,lock_timeout,jit,runbook_exporter.direct"


@pytest.fixture(scope="module", params=["", IGNORED], ids=["refuses settings", "ignores settings"])
def pooler(request, servers_folder, metrics_server) -> Iterator[PgBouncerServer]:
    """One connection to the server for each role and database, which all clients share."""
    more = {"ignore_startup_parameters": request.param} if request.param else {}
    name = "ignoring_pgbouncer" if request.param else "refusing_pgbouncer"
    server = PgBouncerServer(servers_folder / name, metrics_server, settings={"default_pool_size": "2", **more})
    server.start()
    yield server
    server.remove()


async def test_the_same_metrics_in_two_round_trips_at_the_most(here, subject, pooler, database) -> None:
    database.sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE t (id int)")
    direct = await here.read()
    pooled = subject(pooler.dsn("metrics", database.name))
    found = await pooled.read()
    assert found.names() == direct.names()
    assert pooled.reading.round_trips <= 2
    assert [note for note in pooled.reading.notes if "pooler" in note]
    assert [note for note in here.reading.notes if "pooler" in note] == []
    assert database.sql("SELECT count(*) FROM pg_prepared_statements") == "0"


async def test_many_readers_and_jobs_that_share_its_connections(subject, pooler, database) -> None:
    readers = [subject(pooler.dsn("metrics", database.name)) for _ in range(5)]
    for _ in range(4):
        found = await asyncio.gather(*(reader.read() for reader in readers), readers[0].run("table sizes"))
        for each in found[:-1]:
            assert each.value("pg_tables", datname=database.name) == 0
            assert [value for _, value in each.series("runbook_exporter_part_success") if value == 0] == []


async def test_a_part_that_hangs_without_any_limit_is_found_by_the_second_deadline(
    subject, pooler, database, connect
) -> None:
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver IN ACCESS EXCLUSIVE MODE")
    pooled = subject(pooler.dsn("metrics", database.name))
    for _ in range(2):  # the first shows that something hangs, the second what
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await pooled.read()
        await pooled.client.close()
    async with asyncio.timeout(10):
        found = await pooled.read()
    assert [labels["part"] for labels, value in found.series("runbook_exporter_part_success") if value == 0] == [
        "archiver"
    ]
    assert "part 'archiver' is left out: no answer before the deadline" in pooled.reading.notes
