"""One revoked function, view or odd setting of the role at a time: the rest of the page stays the same."""

from collections.abc import Iterator

import pytest

from demo.servers.pgbouncer import PgBouncerServer
from exporter.errors import TargetRefused

# What managed services revoke, and the parts that it costs.
REVOKED = {
    "FUNCTION pg_control_checkpoint()": {"last checkpoint"},
    "FUNCTION pg_conf_load_time()": {"server times"},
    "FUNCTION pg_lock_status()": {"blocking sessions", "lock waits", "locks"},
    "TABLE pg_stat_archiver": {"archiver"},
    "TABLE pg_stat_wal": {"wal"},
    "TABLE pg_stat_database": {"databases"},
    "TABLE pg_replication_slots": {"removal horizon", "replication slots"},
    "TABLE pg_stat_replication": {"replication"},
    "TABLE pg_roles": {"role limits"},
    "TABLE pg_db_role_setting": {"session settings"},
    "TABLE pg_prepared_xacts": {"prepared transactions", "removal horizon"},
}
RIGHTS = {"FUNCTION": "EXECUTE", "TABLE": "SELECT"}


def failed_parts(samples) -> set[str]:
    return {labels["part"] for labels, value in samples.series("runbook_exporter_part_success") if value == 0}


@pytest.mark.parametrize("revoked", REVOKED)
async def test_revoked_right_costs_only_its_parts(reader, database, revoked: str) -> None:
    whole = await reader.read()
    database.sql(f"REVOKE {RIGHTS[revoked.split()[0]]} ON {revoked} FROM PUBLIC, pg_monitor")
    samples = await reader.read()
    failed = failed_parts(samples)
    assert failed == REVOKED[revoked]
    assert len(whole.names() - samples.names()) < 40
    assert all("permission denied" in note for note in reader.reading.notes)
    assert len(reader.reading.notes) == len(failed)


ODD_SETTINGS = {
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "default_transaction_read_only": "on",
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "search_path": "nowhere",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "quote_all_identifiers": "on",
    "enable_seqscan": "off",
    "work_mem": "64kB",
}


@pytest.mark.parametrize("name", ODD_SETTINGS)
async def test_odd_setting_of_the_role_costs_nothing(make_reader, metrics_server, database, name: str) -> None:
    whole = await make_reader(database.dsn("metrics")).read()
    metrics_server.sql(f"ALTER ROLE metrics SET \"{name}\" = '{ODD_SETTINGS[name]}'")
    try:
        reader = make_reader(database.dsn("metrics"))
        samples = await reader.read()
        assert (await reader.run("database sizes")).value("pg_database_size_bytes", datname=database.name)
    finally:
        metrics_server.sql("ALTER ROLE metrics RESET ALL")
    assert failed_parts(samples) == set()
    assert whole.names() - samples.names() <= {f"pg_settings_{name}_bytes"}  # the server's is unknown


@pytest.mark.parametrize("name", ["standard_conforming_strings", "extra_float_digits"])
async def test_odd_setting_of_the_role_changes_no_number(reader, metrics_server, database, name: str) -> None:
    database.sql("CREATE TABLE t (id int) WITH (fillfactor = 50); GRANT SELECT ON t TO metrics")
    database.sql("INSERT INTO t SELECT generate_series(1, 3000)")
    database.sql("VACUUM ANALYZE t")
    sizes = (await reader.run("table sizes")).samples
    metrics_server.sql(f"ALTER ROLE metrics SET {name} = '{ODD_SETTINGS[name]}'")
    try:
        assert (await reader.run("table sizes")).samples == sizes
    finally:
        metrics_server.sql("ALTER ROLE metrics RESET ALL")


async def test_address_that_asks_for_a_writable_server_is_read(make_reader, metrics_server, database) -> None:
    dsn = f"{database.dsn('metrics')}?target_session_attrs="
    assert (await make_reader(f"{dsn}read-write").read()).value("pg_replication_is_replica") == 0
    with pytest.raises(TargetRefused, match="no server of the address is one that target_session_attrs asks for"):
        await make_reader(f"{dsn}read-only").read()


async def test_setting_of_the_role_is_not_shown_as_that_of_the_server(reader, metrics_server) -> None:
    whole = await reader.read()
    metrics_server.sql("ALTER ROLE metrics SET idle_session_timeout = '5min'")
    try:
        samples = await reader.read()
    finally:
        metrics_server.sql("ALTER ROLE metrics RESET ALL")
    assert whole.value("pg_settings_idle_session_timeout_seconds") == 0
    assert whole.names() - samples.names() == {"pg_settings_idle_session_timeout_seconds"}


async def test_sessions_of_a_role_that_acts_as_another_are_its_own(make_reader, metrics_server, database) -> None:
    before = await make_reader(database.dsn("metrics")).read()
    metrics_server.sql("ALTER ROLE metrics SET role = pg_monitor")
    try:
        samples = await make_reader(database.dsn("metrics")).read()
    finally:
        metrics_server.sql("ALTER ROLE metrics RESET ALL")
    # A pooler of another test may have sessions, too.
    assert samples.value("pg_backends", backend_type="client backend") == before.value(
        "pg_backends", backend_type="client backend"
    )


@pytest.fixture(scope="module", params=["session", "transaction"])
def pooler(request, servers_folder, metrics_server) -> Iterator[PgBouncerServer]:
    settings = {"pool_mode": request.param}
    server = PgBouncerServer(servers_folder / f"{request.param}_pgbouncer", metrics_server, settings=settings)
    server.start()
    yield server
    server.remove()


async def test_pooler_of_either_mode_gives_the_same_metrics(reader, make_reader, pooler, database) -> None:
    direct = await reader.read()
    pooled = make_reader(pooler.dsn("metrics", database.name))
    samples = await pooled.read()
    assert samples.names() == direct.names()
    assert (await pooled.run("database sizes")).value("pg_database_size_bytes", datname=database.name)
