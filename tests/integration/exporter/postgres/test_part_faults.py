"""What is wrong with one part costs the others nothing, and what is at fault is named."""

import asyncio
from collections.abc import Iterator
from secrets import token_hex
from time import monotonic

import pytest

from exporter.errors import TargetError
from exporter.postgres import part_faults

INVENTORY = "stacks: {{shop: {{postgres: {{main: {{dsn: '{dsn}'}}}}}}}}"
SUCCESS = "runbook_exporter_part_success"


NO_UTF8 = "a name in the result (a role, database or table) is not UTF-8; rename it"
# Only from within an SQL_ASCII database; the server takes the bytes of the name as they are.
LATIN1 = """SET client_encoding = 'SQL_ASCII'; SELECT '{} "caf' || chr(233) || '"{}' \\gexec"""


@pytest.fixture
def ascii_database(metrics_server) -> Iterator[str]:
    """Its name."""
    name = f"ascii_{token_hex(6)}"
    metrics_server.sql(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    yield name
    metrics_server.drop_database(name)


def failed_parts(samples) -> set[str]:
    return {labels["part"] for labels, value in samples.series(SUCCESS) if value == 0}


async def test_a_part_without_the_right_to_it_is_left_out_and_probed_again(here, database, monkeypatch) -> None:
    whole = await here.read()
    assert failed_parts(whole) == set()
    database.sql("REVOKE EXECUTE ON FUNCTION pg_control_checkpoint() FROM PUBLIC")
    found = await here.read()
    assert failed_parts(found) == {"last checkpoint"}
    assert found.names() == whole.names() - {"pg_last_checkpoint_timestamp_seconds"}
    [note] = here.reading.notes
    assert note == "part 'last checkpoint' is left out: permission denied for function pg_control_checkpoint"
    assert (await here.read()).names() == found.names()
    assert here.reading.round_trips <= 2  # a new statement is prepared, and the others come in one again
    await here.read()
    assert here.reading.round_trips == 1
    database.sql("GRANT EXECUTE ON FUNCTION pg_control_checkpoint() TO PUBLIC")
    assert failed_parts(await here.read()) == {"last checkpoint"}
    monkeypatch.setattr(part_faults, "monotonic", lambda: monotonic() + part_faults.LONGEST_SECONDS)
    assert (await here.read()).names() == whole.names()


async def test_a_part_that_waits_for_a_lock_costs_only_itself(here, connect) -> None:
    here.budget = 2.0
    whole = await here.read()
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver IN ACCESS EXCLUSIVE MODE")
    began = asyncio.get_running_loop().time()
    found = await here.read()
    assert asyncio.get_running_loop().time() - began < here.budget
    assert failed_parts(found) == {"archiver"}
    assert whole.names() - found.names() == {name for name in whole.names() if "archive" in name}
    assert "timeout" in here.reading.notes[0]


async def test_after_a_reading_that_was_cut_off_the_parts_are_asked_one_by_one(here, connect) -> None:
    here.budget = 2.0
    await here.read()
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver IN ACCESS EXCLUSIVE MODE")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await here.read()
    await here.client.close()
    found = await here.read()
    assert failed_parts(found) == {"archiver"}
    assert here.reading.round_trips > len(found.series(SUCCESS))


async def test_it_is_told_on_the_page_and_once_in_the_log(start_exporter, metrics_server, database, capsys) -> None:
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


async def test_an_extension_that_comes_and_goes(here, database) -> None:
    name = "pg_stat_statements_calls_total"
    assert (await here.read()).series(name) == []
    database.sql('CREATE SCHEMA "My ""ext"; GRANT USAGE ON SCHEMA "My ""ext" TO PUBLIC')
    database.sql('CREATE EXTENSION pg_stat_statements SCHEMA "My ""ext"')
    found = await here.read()
    assert found.series(name), here.reading.notes
    database.sql("DROP EXTENSION pg_stat_statements")
    found = await here.read()
    assert found.series(name) == []
    assert failed_parts(found) == set()


async def test_three_parts_that_wait_cost_only_themselves_within_the_deadline(here, connect) -> None:
    here.budget = 3.0
    await here.read()
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver, pg_stat_wal, pg_stat_bgwriter IN ACCESS EXCLUSIVE MODE")
    began = asyncio.get_running_loop().time()
    found = await here.read()
    assert asyncio.get_running_loop().time() - began < here.budget
    assert failed_parts(found) == {"archiver", "wal", "checkpoints"}


async def test_a_statement_that_is_cancelled_by_hand_blames_nobody(here, metrics_server, database) -> None:
    whole = await here.read()
    reading = asyncio.create_task(here.read())
    await asyncio.sleep(0)
    metrics_server.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'metrics'")
    assert (await reading).names() == whole.names()
    assert failed_parts(await here.read()) == set()


async def test_a_role_whose_name_is_no_utf8_costs_only_its_part(here, metrics_server, ascii_database) -> None:
    metrics_server.sql(LATIN1.format("CREATE ROLE", " CONNECTION LIMIT 5 LOGIN"), database=ascii_database)
    try:
        found = await here.read()
        connection = here.client
        assert failed_parts(found) == {"role limits"}
        assert found.names() >= {"pg_connections", "pg_stat_database_xact_commit_total"}
        assert here.reading.notes == (f"part 'role limits' is left out: {NO_UTF8}",)
        assert failed_parts(await here.read()) == {"role limits"}
        assert here.client is connection
    finally:
        metrics_server.sql(LATIN1.format("DROP ROLE", ""), database=ascii_database)


async def test_a_database_whose_name_is_no_utf8_costs_the_others_nothing(
    subject, metrics_server, database, ascii_database
) -> None:
    database.sql("CREATE TABLE t (id int)")
    metrics_server.sql(LATIN1.format("CREATE DATABASE", ""), database=ascii_database)
    try:
        reader = subject(database.dsn("metrics"), databases=("ascii_*", "caf*"))
        with pytest.raises(TargetError, match="is not UTF-8"):
            await reader.run("database sizes")
        found = await reader.run("table sizes")
        assert found.series("pg_stat_user_tables_table_size_bytes", datname=database.name)
        success = {labels["datname"]: value for labels, value in found.series("runbook_exporter_database_success")}
        assert success == {ascii_database: 1, "caf\ufffd": 0}
        assert "last checkpoint" not in failed_parts(await reader.read())
    finally:
        metrics_server.sql(LATIN1.format("DROP DATABASE", ""), database=ascii_database)
