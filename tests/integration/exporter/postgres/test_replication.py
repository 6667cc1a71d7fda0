"""Replication, slots, archiving and promotion, with a primary and its standby."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from demo.servers.standby import StandbyServer
from tests.integration.exporter.postgres.conftest import EQUIPPED

WRITE = "CREATE TABLE IF NOT EXISTS written (id int); INSERT INTO written SELECT generate_series(1, 1000)"
LAG = "pg_replication_lag_seconds"


@pytest.fixture
def of_primary(make_reader, primary):
    return make_reader(primary.dsn("metrics"))


@pytest.fixture
def of_standby(make_reader, follower):
    return make_reader(follower.dsn("metrics"))


def replayed_all(samples) -> bool:
    return samples.value("pg_replication_primary_lag_bytes") == 0 and samples.value(LAG) == 0


async def test_standby_of_an_idle_primary_has_no_lag(of_primary, of_standby, primary) -> None:
    primary.sql(WRITE)
    await of_standby.until(lambda samples: samples.value("pg_replication_last_replay_timestamp_seconds") is not None)
    await of_standby.until(replayed_all)
    await asyncio.sleep(0.3)
    samples = await of_standby.read()
    assert samples.value(LAG) == 0  # although the last transaction was a while ago
    assert samples.value("pg_replication_last_replay_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    assert samples.value("pg_replication_is_replica") == 1
    assert samples.value("pg_replication_streaming") == 1
    samples = await of_primary.until(
        lambda samples: samples.value("pg_replication_standbys", application_name="standby")
    )
    assert samples.value("pg_replication_is_replica") == 0
    assert samples.value(LAG) is None
    samples = await of_primary.until(lambda samples: samples.value("pg_replication_apply_lag_bytes") == 0)
    assert samples.value("pg_replication_streaming_standbys", application_name="standby") == 1
    assert samples.value("pg_backends", backend_type="walsender") == 1


async def test_standby_with_paused_replay_reports_its_lag(of_primary, of_standby, primary, follower) -> None:
    follower.sql("SELECT pg_wal_replay_pause()")
    try:
        primary.sql(WRITE)
        samples = await of_standby.until(lambda samples: samples.value("pg_replication_replay_lag_bytes"))
        assert samples.value("pg_replication_replay_paused") == 1
        first = samples.value(LAG)
        assert first > 0
        await of_standby.until(lambda samples: samples.value(LAG) >= first + 0.2)
        samples = await of_primary.until(lambda samples: samples.value("pg_replication_apply_lag_bytes"))
        await of_primary.until(lambda samples: samples.value("pg_replication_flush_lag_bytes") == 0)
    finally:
        follower.sql("SELECT pg_wal_replay_resume()")
    samples = await of_standby.until(lambda samples: samples.value("pg_replication_replay_lag_bytes") == 0)
    assert samples.value("pg_replication_replay_paused") == 0


async def test_disconnected_standby_does_not_report_zero_lag(of_standby, follower) -> None:
    await of_standby.until(replayed_all)
    follower.sql("ALTER SYSTEM SET primary_conninfo = ''")
    follower.sql("SELECT pg_reload_conf()")
    try:
        samples = await of_standby.until(lambda samples: samples.value("pg_replication_streaming") == 0)
        assert samples.value(LAG) > 0
        assert samples.value("pg_replication_primary_lag_bytes") is None
    finally:
        follower.sql("ALTER SYSTEM RESET primary_conninfo")
        follower.sql("SELECT pg_reload_conf()")
    await of_standby.until(lambda samples: samples.value("pg_replication_streaming") == 1)


async def test_receiver_metrics_are_absent_without_pg_monitor(make_reader, primary, follower) -> None:
    primary.add_role("blind")
    try:
        primary.sql(WRITE)
        dsn = f"postgresql://blind:{primary.password('blind')}@127.0.0.1:{follower.port}/postgres"
        reader = make_reader(follower.dsn("metrics"))
        await reader.until(replayed_all)
        samples = await make_reader(dsn).until(lambda samples: samples.value("pg_replication_replay_lag_bytes") == 0)
        assert samples.value("pg_replication_is_replica") == 1
        assert samples.value("pg_replication_replay_paused") == 0
        unknown = (LAG, "pg_replication_streaming", "pg_replication_primary_lag_bytes")
        assert [name for name in unknown if samples.value(name) is not None] == []
    finally:
        primary.sql("DROP ROLE blind")


async def test_inactive_slots_report_their_retained_wal(of_primary, primary) -> None:
    primary.sql("SELECT pg_create_physical_replication_slot('idle', true)")
    primary.sql("SELECT pg_create_logical_replication_slot('decoding', 'test_decoding')")
    try:
        primary.sql(WRITE)
        samples = await of_primary.read()
        slot = {"slot_name": "idle", "slot_type": "physical"}
        assert samples.value("pg_replication_slot_active", **slot) == 0
        assert samples.value("pg_replication_slot_retained_bytes", **slot) > 10_000
        assert 0 < samples.value("pg_replication_slot_safe_wal_size_bytes", **slot) < 2**30
        assert samples.value("pg_replication_slot_lost", **slot) == 0
        assert samples.value("pg_xmin_horizon_age", holder="logical replication slot") > 0
        primary.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        primary.sql("SELECT pg_reload_conf()")
        for _ in range(3):
            primary.sql(f"{WRITE}; SELECT pg_switch_wal()")
        primary.sql("CHECKPOINT")
        samples = await of_primary.until(lambda samples: samples.value("pg_replication_slot_lost", **slot) == 1)
        assert samples.value("pg_replication_slot_retained_bytes", **slot) is None
    finally:
        primary.sql("ALTER SYSTEM RESET max_slot_wal_keep_size")
        primary.sql("SELECT pg_reload_conf()")
        primary.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")


async def test_slots_of_first_copies_share_a_name_and_the_oldest_counts(of_primary, primary) -> None:
    copies = "pg_16389_sync_16384_7212345678901234567", "pg_16389_sync_16385_7212345678901234567"
    try:
        for name in copies:
            primary.sql(f"SELECT pg_create_physical_replication_slot('{name}', true)")
            primary.sql(WRITE)
        samples = await of_primary.read()
        retained = "(pg_current_wal_lsn() - min(restart_lsn))"
        oldest = float(primary.sql(f"SELECT {retained} FROM pg_replication_slots WHERE slot_name ~ 'sync'"))
        assert [labels["slot_name"] for labels, _ in samples.series("pg_replication_slot_active")] == ["pg_sync"]
        assert samples.value("pg_replication_slot_retained_bytes") == pytest.approx(oldest, rel=0.2)
    finally:
        for name in copies:
            primary.sql(f"SELECT pg_drop_replication_slot('{name}')")


async def test_temporary_slots_share_a_name_without_the_number_of_their_process(of_primary, primary, connect) -> None:
    session = await connect(primary.dsn())
    for number in (4711, 4712):
        await session.fetch(f"SELECT pg_create_physical_replication_slot('pg_basebackup_{number}', true, true)")
    samples = await of_primary.read()
    session.terminate()
    slots = {labels["slot_name"] for labels, _ in samples.series("pg_replication_slot_active")}
    assert {name for name in slots if "basebackup" in name} == {"pg_basebackup"}


async def test_slot_that_never_kept_wal_states_no_size(of_primary, primary) -> None:
    primary.sql(
        "SELECT pg_create_physical_replication_slot('unused'), pg_create_physical_replication_slot('used', true)"
    )
    try:
        samples = await of_primary.read()
    finally:
        primary.sql("SELECT pg_drop_replication_slot('unused'), pg_drop_replication_slot('used')")
    size = "pg_replication_slot_safe_wal_size_bytes"
    assert samples.value("pg_replication_slot_active", slot_name="unused") == 0
    assert samples.value(size, slot_name="unused") is None
    assert samples.value(size, slot_name="used") > 0


@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
async def test_standby_is_read_whatever_isolation_its_role_has(make_reader, primary, follower, isolation: str) -> None:
    primary.sql(f"ALTER ROLE metrics SET default_transaction_isolation = '{isolation}'")
    primary.sql("ALTER ROLE metrics SET default_transaction_deferrable = on")
    try:
        await asyncio.sleep(0.3)
        reader = make_reader(follower.dsn("metrics"))
        samples = await reader.read()
        assert samples.value("pg_replication_is_replica") == 1
        assert [labels for labels, value in samples.series("runbook_exporter_part_success") if value == 0] == []
        assert (await reader.run("database sizes")).series("pg_database_size_bytes")
    finally:
        primary.sql("ALTER ROLE metrics RESET ALL")
        await asyncio.sleep(0.3)


async def test_failed_and_successful_archiving_is_counted(of_primary, primary) -> None:
    samples = await of_primary.read()
    assert samples.value("pg_settings_archive_mode") == 1
    before = samples.value("pg_stat_archiver_archived_total")
    primary.sql(f"{WRITE}; SELECT pg_switch_wal()")
    samples = await of_primary.until(lambda samples: samples.value("pg_stat_archiver_failed_total"))
    assert samples.value("pg_stat_archiver_last_failed_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    primary.sql("ALTER SYSTEM SET archive_command = 'true'")
    primary.sql("SELECT pg_reload_conf()")
    samples = await of_primary.until(lambda samples: samples.value("pg_stat_archiver_archived_total") > before)
    assert samples.value("pg_stat_archiver_last_archived_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    files = await of_primary.run("wal files")
    assert files.value("pg_wal_size_bytes") == files.value("pg_wal_segments") * 16 * 2**20


async def test_prepared_transaction_holds_back_vacuum(of_primary, primary) -> None:
    primary.sql("CREATE TABLE prepared (id int)")
    primary.sql("BEGIN; INSERT INTO prepared VALUES (1); PREPARE TRANSACTION 'forgotten'")
    try:
        primary.sql(WRITE)
        samples = await of_primary.read()
        assert samples.value("pg_prepared_transactions", datname="postgres") == 1
        assert samples.value("pg_prepared_transaction_max_age_seconds", datname="postgres") > 0
        assert samples.value("pg_xmin_horizon_age", holder="prepared transaction") > 0
    finally:
        primary.sql("ROLLBACK PREPARED 'forgotten'")


async def test_prepared_transaction_is_counted_as_blocking(of_primary, primary, connect, waiting) -> None:
    primary.sql("CREATE TABLE held (id int)")
    primary.sql("BEGIN; LOCK TABLE held; PREPARE TRANSACTION 'forgotten'")
    try:
        async with waiting(await connect(primary.dsn()), "SELECT * FROM held"):
            samples = await of_primary.until(lambda samples: samples.value("pg_sessions_blocked") == 1)
            assert samples.value("pg_sessions_blocking") == 1
            held = {"datname": "postgres", "mode": "AccessExclusiveLock", "granted": "true"}
            assert samples.value("pg_locks", **held) == 1
    finally:
        primary.sql("ROLLBACK PREPARED 'forgotten'")


async def test_checkpoints_are_counted(of_primary, primary) -> None:
    name = "pg_stat_checkpointer_num_requested_total"
    before = await of_primary.read()
    primary.sql(f"{WRITE}; CHECKPOINT")
    samples = await of_primary.until(lambda samples: samples.value(name) > before.value(name))
    assert samples.value("pg_last_checkpoint_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    assert samples.value("pg_stat_wal_bytes_total") > before.value("pg_stat_wal_bytes_total")


@pytest.fixture
def other_follower(servers_folder, primary) -> Iterator[StandbyServer]:
    """Start a standby that the test may promote."""
    server = StandbyServer(servers_folder / "promoted_standby", primary, settings=EQUIPPED)
    server.start()
    yield server
    server.remove()


async def test_promoted_standby_is_read_as_a_primary_immediately(make_reader, other_follower) -> None:
    reader = make_reader(other_follower.dsn("metrics"))
    before = await reader.read()
    connection = reader.client
    other_follower.sql("SELECT pg_promote()")
    samples = await reader.read()
    assert reader.client is connection
    assert (before.value("pg_replication_is_replica"), samples.value("pg_replication_is_replica")) == (1, 0)
    assert samples.value(LAG) is None
    assert [value for _, value in samples.series("runbook_exporter_part_success") if value == 0] == []
