"""The PostgreSQL collector, against states of a real server, with a role that is only in pg_monitor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from exporter.postgres.collector import PostgresCollector
from runbookd import addresses
from runbookd.inventory import PostgresTarget, Stack
from tests.integration.exporter.conftest import ScrapedPage

INVENTORY = "stacks: {{shop: {{postgres: {{main: {{dsn: '{dsn}'}}}}}}}}"
SESSION_METRICS = (
    "pg_connections",
    "pg_idle_in_transaction_max_age_seconds",
    "pg_query_max_age_seconds",
    "pg_sessions_blocked",
    "pg_blocked_max_age_seconds",
)
OpenSession = Callable[[], Awaitable[Any]]


@pytest.fixture
async def exporter(start_exporter, metrics_server, database):
    return await start_exporter(INVENTORY.format(dsn=database.dsn("metrics")))


@pytest.fixture
async def connect(database) -> AsyncIterator[OpenSession]:
    """Open sessions of the product."""
    opened: list[Any] = []

    async def connect() -> Any:
        opened.append(await asyncpg.connect(database.dsn()))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.terminate()


async def test_idle_server_reports_zero_ages_and_all_states(exporter, database) -> None:
    await exporter.scrape_after_jobs()
    labels = {"stack": "shop", "target": "main"}
    in_transaction = {"datname": database.name, "state": "idle in transaction", **labels}
    working = {"datname": database.name, "state": "active", **labels}

    def is_alone(page: ScrapedPage) -> bool:
        """Return whether no background job runs, which is at work or in a transaction of its own for a moment."""
        return (page.value("pg_connections", **in_transaction), page.value("pg_connections", **working)) == (0, 1)

    page = await exporter.scrape_until(is_alone)
    assert page.value("pg_up", **labels) == 1
    assert page.value("pg_role_can_see_all_sessions", **labels) == 1
    assert page.value("pg_settings_max_connections", **labels) == 100
    assert page.value("pg_settings_superuser_reserved_connections", **labels) == 3
    assert page.value("pg_idle_in_transaction_max_age_seconds", datname=database.name, **labels) == 0
    assert page.value("pg_query_max_age_seconds", datname=database.name, **labels) == 0
    assert page.value("pg_blocked_max_age_seconds", **labels) == 0
    assert page.value("pg_sessions_blocked", **labels) == 0
    assert page.series("pg_connections", datname="template1") == {}


async def test_idle_transactions_age_from_when_they_became_idle(exporter, database, connect) -> None:
    first, second, third = await connect(), await connect(), await connect()
    await first.execute("BEGIN; SELECT pg_sleep(1)")  # busy for a second, then idle
    await second.execute("BEGIN")
    await third.execute("BEGIN")
    with pytest.raises(asyncpg.PostgresError):
        await third.execute("SELECT 1/0")
    states = {"idle in transaction": 2, "idle in transaction (aborted)": 1, "idle": 0, "active": 1}

    def counts(page: ScrapedPage) -> dict[str, float | None]:
        return {state: page.value("pg_connections", datname=database.name, state=state) for state in states}

    await exporter.scrape_until(lambda page: counts(page) == states)  # and no background job
    before, page, after = idle_age(database), await exporter.scrape(), idle_age(database)
    age = page.value("pg_idle_in_transaction_max_age_seconds", datname=database.name)
    assert before <= age <= after  # from the transaction's own start it would be a second more
    assert page.value("pg_idle_in_transaction_max_age_seconds", datname="postgres") == 0


def idle_age(database: Any) -> float:
    """Return for how long the first of the sessions has been idle in its transaction."""
    age = "extract(epoch FROM clock_timestamp() - min(state_change))"
    here = "datname = current_database() AND state LIKE 'idle in transaction%'"
    return float(database.sql(f"SELECT {age} FROM pg_stat_activity WHERE {here}"))


async def test_aborted_transaction_counts_as_idle_in_transaction(exporter, database, connect) -> None:
    session = await connect()
    await session.execute("BEGIN")
    with pytest.raises(asyncpg.PostgresError):
        await session.execute("SELECT 1/0")
    await exporter.scrape_until(
        lambda page: page.value("pg_idle_in_transaction_max_age_seconds", datname=database.name) >= 0.2
    )


async def test_blocked_age_is_only_the_wait_for_the_lock(exporter, database, connect) -> None:
    holder, waiter = await connect(), await connect()
    await holder.execute("CREATE TABLE t ()")
    await holder.execute("BEGIN; LOCK TABLE t")
    async with asyncio.TaskGroup() as group:
        group.create_task(waiter.execute("SELECT pg_sleep(0.4); SELECT * FROM t"))
        page = await exporter.scrape_until(lambda page: page.value("pg_blocked_max_age_seconds") >= 0.2)
        await holder.execute("COMMIT")
    assert page.value("pg_sessions_blocked") == 1
    query_age = page.value("pg_query_max_age_seconds", datname=database.name)
    assert (
        page.value("pg_blocked_max_age_seconds") <= query_age - 0.35
    )  # the wait for the lock, not the whole statement
    assert query_age < 5
    page = await exporter.scrape()
    assert page.value("pg_sessions_blocked") == 0
    assert page.value("pg_blocked_max_age_seconds") == 0


async def test_cache_hits_of_a_database_increase(exporter, database, connect) -> None:
    before = (await exporter.scrape()).value("pg_stat_database_blks_hit_total", datname=database.name)
    session = await connect()
    await session.execute("SELECT count(*) FROM pg_class; SELECT pg_stat_force_next_flush()")
    await exporter.scrape_until(
        lambda page: page.value("pg_stat_database_blks_hit_total", datname=database.name) > before
    )
    page = await exporter.scrape()
    assert page.value("pg_stat_database_blks_read_total", datname=database.name) is not None


async def test_deadlock_is_counted(exporter, database, connect) -> None:
    one, two = await connect(), await connect()
    await one.execute("CREATE TABLE a (); CREATE TABLE b (); SET deadlock_timeout = '50ms'")
    await one.execute("BEGIN; LOCK TABLE a")
    await two.execute("BEGIN; LOCK TABLE b")
    results = await asyncio.gather(one.execute("LOCK TABLE b"), two.execute("LOCK TABLE a"), return_exceptions=True)
    assert any(isinstance(result, asyncpg.DeadlockDetectedError) for result in results)
    for session in (one, two):
        await session.execute("ROLLBACK")
        await session.execute("SELECT pg_stat_force_next_flush()")  # otherwise the session reports later
    await exporter.scrape_until(lambda page: page.value("pg_stat_database_deadlocks_total", datname=database.name) == 1)


async def test_session_metrics_are_absent_and_reported_without_pg_monitor(
    start_exporter, metrics_server, database, connect
) -> None:
    metrics_server.add_role("blind")
    try:
        session = await connect()
        await session.execute("BEGIN")
        exporter = await start_exporter(INVENTORY.format(dsn=database.dsn("blind")))
        page = await exporter.scrape()
        assert page.value("pg_up") == 1
        assert page.value("pg_role_can_see_all_sessions") == 0
        assert page.value("pg_settings_max_connections") == 100
        assert [name for name in SESSION_METRICS if page.series(name)] == []
        metrics_server.sql("GRANT pg_monitor TO blind")
        in_transaction = {"datname": database.name, "state": "idle in transaction"}
        # A background job of the exporter is in a transaction of its own for a moment.
        await exporter.scrape_until(lambda page: page.value("pg_connections", **in_transaction) == 1)
    finally:
        metrics_server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'blind'")
        metrics_server.sql("DROP ROLE blind")


async def test_scrape_takes_one_round_trip_on_one_connection(start_exporter, metrics_server, database, proxy) -> None:
    counter, port = await proxy(metrics_server.port)
    dsn = database.dsn("metrics").replace(f":{metrics_server.port}/", f":{port}/")
    exporter = await start_exporter(INVENTORY.format(dsn=dsn))
    await exporter.scrape_after_jobs()
    await exporter.scrape()  # the proxy may have counted the end of the background's connection, which has no reply
    before, connections = counter.round_trips, counter.connections
    for _ in range(5):
        page = await exporter.scrape()
        assert page.value("runbook_exporter_collector_round_trips", collector="postgres") == 1
    assert counter.round_trips - before == 5
    await asyncio.gather(*(exporter.scrape() for _ in range(20)))
    assert counter.connections == connections == 2  # one for scrapes, and the closed one of the background


async def test_session_is_named_read_only_and_limited(metrics_server, database) -> None:
    stack = Stack(postgres={"main": PostgresTarget.model_validate({"dsn": database.dsn("metrics")})})
    client = await PostgresCollector(stack, "main").scrape.connect(2.0)
    try:
        rows = await client._connection.fetch(
            "SELECT name, setting FROM pg_settings WHERE name IN "
            "('application_name', 'default_transaction_read_only', 'statement_timeout', 'lock_timeout')"
        )
    finally:
        await client.close()
    assert dict(rows) == {
        "application_name": "runbook-exporter",
        "default_transaction_read_only": "on",
        "statement_timeout": "1000",
        "lock_timeout": "500",
    }


async def test_scrape_succeeds_after_the_server_ended_the_session(exporter, metrics_server) -> None:
    await exporter.scrape()
    metrics_server.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'metrics'")
    assert (await exporter.scrape()).value("pg_up") == 1


async def test_rotated_password_is_read_again(start_exporter, metrics_server, database, tmp_path) -> None:
    file = tmp_path / "dsn"
    good = database.dsn("metrics")
    file.write_text("postgresql://metrics:hunter2@" + good.partition("@")[2])
    exporter = await start_exporter(f"stacks: {{shop: {{postgres: {{main: {{dsn_file: '{file}'}}}}}}}}")
    page = await exporter.scrape()
    assert page.value("pg_up") == 0
    assert page.value("runbook_exporter_collector_success", collector="postgres") == 0
    assert page.value("runbook_exporter_collector_timeout", collector="postgres") == 0
    assert "password authentication failed for user &quot;metrics&quot;" in (await exporter.get("/"))[1]
    file.write_text(good)
    await exporter.scrape_until(lambda page: page.value("pg_up") == 1)


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://metrics:hunter2@127.0.0.1:1/shop", "127.0.0.1:1: the connection is refused"),
        ("postgresql://metrics:hunter2@127.0.0.1:hunter2/shop", "dsn: not an address; write it as postgresql://"),
        ("hunter2", "dsn: not an address; write it as postgresql://"),
        ("postgresql://metrics:hunter2@127.0.0.1:1/shop?sslmode=maybe", "sslmode"),
    ],
)
async def test_wrong_address_is_reported_without_the_password(start_exporter, dsn, expected, capsys) -> None:
    exporter = await start_exporter(INVENTORY.format(dsn=dsn))
    page = await exporter.scrape()
    landing = (await exporter.get("/"))[1]
    out, err = capsys.readouterr()
    assert page.value("pg_up") == 0
    assert expected in landing
    assert "hunter2" not in page.text + landing + out + err


@pytest.mark.parametrize(
    "suffix",
    [
        "?connect_timeout=10",
        "?sslmode=prefer&channel_binding=prefer",
        "?schema=public&pgbouncer=true&connection_limit=5",
        "?application_name=shop&keepalives=1&statement_timeout=5000&prepareThreshold=0",
    ],
)
async def test_address_of_another_client_is_read_and_its_parameters_logged_once(
    start_exporter, metrics_server, database, suffix: str, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(addresses, "_logged", set())
    with caplog.at_level("INFO"):
        exporter = await start_exporter(INVENTORY.format(dsn=database.dsn("metrics") + suffix))
        for _ in range(2):
            assert (await exporter.scrape()).value("pg_up") == 1
        await exporter.scrape_after_jobs()
    lines = [each.getMessage() for each in caplog.records if "ignored parameters" in each.getMessage()]
    assert len(lines) == 1
    assert suffix[1:].split("=")[0] in lines[0] or "channel_binding" in lines[0]


async def test_connection_string_of_psql_and_address_of_jdbc_are_read(start_exporter, metrics_server, database) -> None:
    server, password = database.server, metrics_server.password("metrics")
    place = f"127.0.0.1:{server.port}/{database.name}"
    for dsn in (
        f"host=127.0.0.1 port={server.port} dbname={database.name} user=metrics password={password}",
        f"jdbc:postgresql://{place}?user=metrics&password={password}&ssl=false&socketTimeout=30",
    ):
        page = await (await start_exporter(INVENTORY.format(dsn=dsn))).scrape()
        assert page.value("pg_up") == 1
