"""What is wrong with one part costs the others nothing, and what is at fault is named."""

import asyncio
from time import monotonic

import pytest

from exporter.postgres import faults

INVENTORY = "stacks: {{shop: {{postgres: {{main: {{dsn: '{dsn}'}}}}}}}}"
SUCCESS = "runbook_exporter_part_success"


def left_out(found) -> set[str]:
    return {labels["part"] for labels, value in found.series(SUCCESS) if value == 0}


async def test_a_part_without_the_right_to_it_is_left_out_and_probed_again(here, database, monkeypatch) -> None:
    whole = await here.read()
    assert left_out(whole) == set()
    database.sql("REVOKE EXECUTE ON FUNCTION pg_control_checkpoint() FROM PUBLIC")
    found = await here.read()
    assert left_out(found) == {"last checkpoint"}
    assert found.names() == whole.names() - {"pg_last_checkpoint_timestamp_seconds"}
    [note] = here.reading.notes
    assert note == "part 'last checkpoint' is left out: permission denied for function pg_control_checkpoint"
    assert (await here.read()).names() == found.names()
    assert here.reading.round_trips <= 2  # a new statement is prepared, and the others come in one again
    await here.read()
    assert here.reading.round_trips == 1
    database.sql("GRANT EXECUTE ON FUNCTION pg_control_checkpoint() TO PUBLIC")
    assert left_out(await here.read()) == {"last checkpoint"}
    monkeypatch.setattr(faults, "monotonic", lambda: monotonic() + faults.LONGEST_SECONDS)
    assert (await here.read()).names() == whole.names()


async def test_a_part_that_waits_for_a_lock_costs_only_itself(here, connect) -> None:
    here.budget = 2.0
    whole = await here.read()
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver IN ACCESS EXCLUSIVE MODE")
    began = asyncio.get_running_loop().time()
    found = await here.read()
    assert asyncio.get_running_loop().time() - began < here.budget
    assert left_out(found) == {"archiver"}
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
    assert left_out(found) == {"archiver"}
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
    assert left_out(found) == set()


async def test_three_parts_that_wait_cost_only_themselves_within_the_deadline(here, connect) -> None:
    here.budget = 3.0
    await here.read()
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE pg_stat_archiver, pg_stat_wal, pg_stat_bgwriter IN ACCESS EXCLUSIVE MODE")
    began = asyncio.get_running_loop().time()
    found = await here.read()
    assert asyncio.get_running_loop().time() - began < here.budget
    assert left_out(found) == {"archiver", "wal", "checkpoints"}


async def test_a_statement_that_is_cancelled_by_hand_blames_nobody(here, metrics_server, database) -> None:
    whole = await here.read()
    reading = asyncio.create_task(here.read())
    await asyncio.sleep(0)
    metrics_server.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'metrics'")
    assert (await reading).names() == whole.names()
    assert left_out(await here.read()) == set()
