"""Users' own SQL: read-only by the server, with metrics and errors per query."""

import asyncio
import textwrap

import asyncpg
import pytest
import structlog

from exporter.errors import TargetRefused
from exporter.postgres.session import PostgresSession
from exporter.postgres.user_queries import QueryReader
from runbookd.inventory import Query
from tests.integration.exporter.conftest import METRICS_ROLE

TABLES = """\
CREATE TABLE "AuditLog" (action text, provider text, details jsonb, "createdAt" timestamptz DEFAULT now());
CREATE TABLE search_telemetry (query_lowercase text, result_count int, at timestamptz DEFAULT now());
INSERT INTO "AuditLog" (action, provider, details) VALUES
    ('LOGIN_FAILED', 'google', '{"reason": "OAuth"}'), ('LOGIN_FAILED', 'google', '{"reason": "oauth"}'),
    ('LOGIN_FAILED', 'azure', '{"reason": "oauth"}'), ('LOGIN_FAILED', 'azure', '{"reason": "password"}'),
    ('LOGIN', 'azure', '{"reason": "oauth"}');
INSERT INTO search_telemetry VALUES ('ladder', 0), ('ladder', 0), ('rope', 3);
GRANT SELECT ON "AuditLog", search_telemetry TO metrics;
"""
FAILED_LOGINS = """\
failed_oauth_logins:
  help: Failed OAuth logins of the last 15 minutes.
  sql: >
    SELECT provider, count(*) AS value FROM "AuditLog" WHERE action = 'LOGIN_FAILED' AND details::text ILIKE '%oauth%'
    AND "createdAt" > now() - interval '15 minutes' GROUP BY provider
  labels: [provider]
  refresh: 1s
"""


def _inventory(dsn: str, queries: str) -> str:
    head = f'stacks:\n  shop:\n    postgres:\n      main:\n        dsn: "{dsn}"\n        queries:\n'
    return head + textwrap.indent(queries, " " * 10)


@pytest.fixture
def shop(metrics_server, database):
    database.sql(TABLES)
    return database


@pytest.fixture
async def exporter_with(start_exporter, shop):
    """Start an exporter with these queries, written as YAML."""

    async def start(queries: str):
        return await start_exporter(_inventory(shop.dsn(METRICS_ROLE), queries))

    return start


def _has_failed(page, name: str) -> bool:
    return page.value("runbook_exporter_job_success", job_name=f"queries.{name}") == 0


def _have_run(*names: str):
    return lambda page: all(
        page.value("runbook_exporter_job_last_success_timestamp_seconds", job_name=f"queries.{name}") for name in names
    )


async def _reason(exporter, name: str) -> str:
    _, text = await exporter.get("/metrics?debug=true")
    [line] = [line for line in text.splitlines() if line.startswith(f"  job queries.{name}: ")]
    return line


async def test_query_results_become_metrics_and_are_refreshed(exporter_with, shop) -> None:
    searches = """\
searches:
  sql: SELECT count(*) AS made, count(*) FILTER (WHERE result_count = 0) AS empty FROM search_telemetry
  values: {made: {help: Searches., type: counter}, empty: {help: Searches without a result., type: counter}}
"""
    exporter = await exporter_with(FAILED_LOGINS + searches)
    page = await exporter.scrape_until(_have_run("failed_oauth_logins", "searches"))
    name = "custom_failed_oauth_logins"
    assert page.series(name) == {
        (("provider", "azure"), ("stack", "shop"), ("target", "main")): 1,
        (("provider", "google"), ("stack", "shop"), ("target", "main")): 2,
    }
    assert page.value("custom_searches_made_total") == 3
    assert page.value("custom_searches_empty_total") == 2
    assert "# HELP custom_failed_oauth_logins Failed OAuth logins of the last 15 minutes. Cached.\n" in page.text
    assert page.value("pg_up") == 1
    shop.sql("""INSERT INTO "AuditLog" VALUES ('LOGIN_FAILED', 'google', '{"reason": "oauth"}')""")
    await exporter.scrape_until(lambda page: page.value(name, provider="google") == 3)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT count(*) AS number FROM search_telemetry", "returns no column 'value', only number; name it with AS"),
        ("SELECT now() AS value", "the column 'value' is timestamptz, not a number"),
        ("SELECT 1 AS value; SELECT 2 AS value", "cannot insert multiple commands into a prepared statement"),
        ("DELETE FROM search_telemetry RETURNING 1 AS value", "cannot execute DELETE in a read-only transaction"),
        ("SELECT nextval('numbers') AS value", "cannot execute nextval() in a read-only transaction"),
        ("SET transaction_read_only = off", "returns no column 'value', no columns"),
        ("SELECT 1 AS value FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT 1 AS value FROM pg_sleep(20)", "canceling statement due to statement timeout"),
    ],
)
async def test_wrong_query_is_reported_and_does_not_affect_others(exporter_with, shop, sql: str, reason: str) -> None:
    shop.sql("CREATE SEQUENCE numbers; GRANT ALL ON SEQUENCE numbers TO metrics")
    wrong = f'wrong:\n  help: Wrong.\n  sql: "{sql}"\n  timeout: 1s\n'
    exporter = await exporter_with(wrong + FAILED_LOGINS)
    page = await exporter.scrape_until(
        lambda page: _has_failed(page, "wrong") and _have_run("failed_oauth_logins")(page)
    )
    assert page.value("custom_wrong") is None
    assert page.value("custom_failed_oauth_logins", provider="google") == 2
    assert page.value("runbook_exporter_job_success", job_name="queries.failed_oauth_logins") == 1
    assert page.value("pg_up") == 1
    line = await _reason(exporter, "wrong")
    assert reason in line
    assert "timeout" not in line.split(": ")[1]


async def test_writing_query_is_refused_even_with_write_permission(start_exporter, database) -> None:
    database.sql("CREATE TABLE kept AS SELECT 1 AS value")
    exporter = await start_exporter(
        _inventory(
            database.dsn(),
            """\
wrong: {help: Deletes., sql: "DELETE FROM kept RETURNING value"}
sly: {help: Asks for more., sql: "SELECT set_config('transaction_read_only', 'off', false) = 'off' AS value"}
own: {help: Stays., refresh: 1s, sql: "SELECT set_config('work_mem', '77MB', false) IS NULL AS value"}
after: {help: Sees., refresh: 1s, sql: "SELECT (current_setting('work_mem') = '77MB')::int AS value"}
""",
        )
    )
    page = await exporter.scrape_until(lambda page: _has_failed(page, "wrong") and _have_run("own", "after")(page))
    assert "cannot execute DELETE in a read-only transaction" in await _reason(exporter, "wrong")
    assert _has_failed(page, "sly")
    assert database.sql("SELECT count(*) FROM kept") == "1"
    assert page.value("custom_after") == 0


async def test_query_stops_waiting_for_a_lock_and_keeps_its_last_samples(exporter_with, shop) -> None:
    exporter = await exporter_with(FAILED_LOGINS + "other:\n  help: Other.\n  sql: SELECT 7 AS value\n  refresh: 1s\n")
    page = await exporter.scrape_until(_have_run("failed_oauth_logins", "other"))
    before = page.value("runbook_exporter_job_last_success_timestamp_seconds", job_name="queries.other")
    holder = await asyncpg.connect(shop.dsn())
    try:
        async with holder.transaction():
            await holder.execute('LOCK TABLE "AuditLog"')
            with structlog.testing.capture_logs() as logs:
                page = await exporter.scrape_until(lambda page: _has_failed(page, "failed_oauth_logins"))
            assert page.value("custom_failed_oauth_logins", provider="google") == 2
            assert [(log["target"], log["job"]) for log in logs if log["event"] == "job failed"] == [
                ("shop/postgres/main", "queries.failed_oauth_logins")
            ]
            assert "lock timeout" in await _reason(exporter, "failed_oauth_logins")
            await exporter.scrape_until(
                lambda page: (
                    page.value("runbook_exporter_job_last_success_timestamp_seconds", job_name="queries.other") > before
                )
            )
    finally:
        await holder.close()
    await exporter.scrape_until(lambda page: not _has_failed(page, "failed_oauth_logins"), seconds=20)


async def test_excess_rows_are_counted_and_long_labels_are_cut(exporter_with) -> None:
    exporter = await exporter_with("""\
many:
  help: Many.
  sql: SELECT generate_series(1, 1000000) AS value, generate_series(1, 1000000) % 3 AS rest
  labels: [rest]
  max_rows: 5
first:
  help: First.
  sql: SELECT n AS value, n FROM generate_series(1, 1000000) AS n
  labels: [n]
  max_rows: 4
odd:
  help: Odd.
  sql: >
    SELECT * FROM (VALUES (1.5::numeric, repeat('ü', 200)), (NULL, 'nothing'), (true::int, NULL), ('NaN', 'a"b\\n'))
    AS found (value, what)
  labels: [what]
""")
    page = await exporter.scrape_until(_have_run("many", "first", "odd"))
    assert sorted(page.series("custom_first").values()) == [1, 2, 3, 4]
    assert page.value("runbook_exporter_query_rows_left_out", query="first") == 1
    assert sorted(page.series("custom_many").values()) == [1, 2, 3]
    assert page.value("runbook_exporter_query_rows_left_out", query="many") == 3
    assert page.value("custom_odd", what="ü" * 127 + "…") == 1.5
    assert page.series("custom_odd", what="nothing") == {}
    assert page.value("custom_odd", what="") == 1
    assert len(page.series("custom_odd")) == 3
    assert page.value("runbook_exporter_query_rows_left_out", query="odd") == 0


async def test_queries_share_one_connection_that_closes_when_none_is_due(start_exporter, limited_postgres) -> None:
    """The role is limited to two connections, so a third one would fail a scrape or a query."""
    server = limited_postgres.server
    server.add_database("other")
    sql = "SELECT count(*) AS value, current_database() AS db FROM pg_stat_activity WHERE usename = 'metrics'"
    names = [f"query{number}" for number in range(12)]
    databases = ("other", "postgres")
    queries = [
        f'{name}: {{help: Here., labels: [db], refresh: 1h, database: {databases[number % 2]}, sql: "{sql}"}}'
        for number, name in enumerate(names)
    ]
    exporter = await start_exporter(_inventory(limited_postgres.dsn, "\n".join(queries)))
    await exporter.scrape()
    page = await exporter.scrape_until(_have_run(*names), seconds=5)
    assert {page.value(f"custom_{name}") for name in names} <= {1, 2}
    assert page.value("custom_query0", db="other")
    assert page.value("custom_query1", db="postgres")
    await exporter.scrape_until(lambda _: len(limited_postgres.backends()) == 1)


async def test_queries_resume_after_the_server_returns(start_exporter, limited_postgres) -> None:
    server = limited_postgres.server
    exporter = await start_exporter(
        _inventory(
            limited_postgres.dsn,
            """\
one: {help: One., refresh: 1s, sql: "SELECT 1 AS value"}
two: {help: Two., refresh: 1s, sql: "SELECT 2 AS value"}
""",
        )
    )
    await exporter.scrape_until(_have_run("one", "two"))
    server.stop()
    page = await exporter.scrape_until(lambda page: _has_failed(page, "one") and _has_failed(page, "two"))
    assert (page.value("pg_up"), page.value("custom_one"), page.value("custom_two")) == (0, 1, 2)
    server.start()
    await exporter.scrape_until(lambda page: not _has_failed(page, "one") and not _has_failed(page, "two"), seconds=20)


@pytest.fixture
def read_behind_pooler(pgbouncer, database):
    """Run a query in a new session behind a pooler, where only the transaction's own limits apply."""

    async def connect(_: str | None, seconds: float) -> asyncpg.Connection:
        return await asyncpg.connect(pgbouncer.dsn(database=database.name), timeout=seconds)

    async def read(sql: str, seconds: float = 10.0) -> float:
        session = PostgresSession(connect)
        try:
            samples = await QueryReader("own", Query(help="Own.", sql=sql)).run(session, now() + seconds)
        finally:
            await session.close()
        return next(sample.value for sample in samples if sample.metric.name == "custom_own")

    def now() -> float:
        return asyncio.get_running_loop().time()

    return read


async def test_query_behind_a_pooler_leaves_the_shared_connection_unchanged(read_behind_pooler) -> None:
    for _ in range(3):
        await read_behind_pooler("SELECT set_config('work_mem', '77MB', false) IS NULL AS value")
        assert await read_behind_pooler("SELECT current_setting('work_mem') = '77MB' AS value") == 0
        assert await read_behind_pooler("SELECT count(*) AS value FROM pg_prepared_statements") == 0


async def test_query_limits_apply_behind_a_pooler(read_behind_pooler, database) -> None:
    database.sql("CREATE TABLE kept AS SELECT 1 AS value")
    with pytest.raises(TargetRefused, match="cannot execute DELETE in a read-only transaction"):
        await read_behind_pooler("DELETE FROM kept RETURNING value")
    with pytest.raises(TargetRefused, match="statement timeout"):
        await read_behind_pooler("SELECT 1 AS value FROM pg_sleep(20)", seconds=0.5)
    holder = await asyncpg.connect(database.dsn())
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE kept")
            with pytest.raises(TargetRefused, match="lock timeout"):
                await read_behind_pooler("SELECT value FROM kept")
    finally:
        await holder.close()
