"""analyze_tables on a real PostgreSQL, under the role of remediator.sql and maintain_tables.sql in deploy/postgres."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from demo.servers.postgres import PostgresServer
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import ItemState, Plan, Scope, Verdict
from tests.integration.remediator.remediations.conftest import ScopeOf
from tests.integration.remediator.remediations.steps import FLUSH, Steps
from tests.unit.remediator.polling import becomes

GRANTS = Path(__file__).parents[4] / "deploy" / "postgres"
ROLES = ("remediator", "owner", "stranger", "blind")
STEPS = Steps("analyze_tables")
open_session = STEPS.open_session
plan_of = STEPS.plan_of
apply = STEPS.apply
verify = STEPS.verify
resolve_outcome = STEPS.resolve_outcome
OpenSession = Callable[..., Awaitable[asyncpg.Connection]]


@pytest.fixture(scope="module")
def roles(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    for role in ROLES:
        postgres_server.add_role(role)
    postgres_server.sql((GRANTS / "remediator.sql").read_text())
    words = "\\set owner owner\n\\set schema public\n"
    postgres_server.sql(words + (GRANTS / "maintain_tables.sql").read_text())
    postgres_server.sql(words + (GRANTS / "maintain_tables.sql").read_text())  # it may be run again
    yield postgres_server
    for role in ROLES:
        postgres_server.sql(f"DROP ROLE {role}")


@pytest.fixture
def server(roles: PostgresServer, database: Any) -> Any:
    database.sql("GRANT CREATE ON SCHEMA public TO owner, stranger")
    make_tables(database, "orders", "items", "quiet")
    return database


def make_tables(database: Any, *tables: str, role: str = "owner") -> None:
    """Create tables without autovacuum, so that only the test changes their statistics."""
    statements = [
        f"CREATE TABLE {table} (id int) WITH (autovacuum_enabled = false);"
        f"INSERT INTO {table} SELECT generate_series(1, 5000)"
        for table in tables
    ]
    database.sql("; ".join([*statements, FLUSH]), role=role)  # not after ANALYZE, which counts from zero
    database.sql(f"ANALYZE {', '.join(tables)}", role=role)


def change(database: Any, table: str, rows: int, role: str = "owner") -> None:
    database.sql(f'UPDATE "{table}" SET id = id WHERE id <= {rows}; {FLUSH}', role=role)


@pytest.fixture
async def connect(server: Any) -> AsyncIterator[OpenSession]:
    """Open sessions of other applications."""
    made: list[asyncpg.Connection] = []

    async def connect(role: str = "owner", application: str = "shop-api") -> asyncpg.Connection:
        made.append(await asyncpg.connect(server.dsn(role), server_settings={"application_name": application}))
        return made[-1]

    yield connect
    for connection in made:
        connection.terminate()


@pytest.fixture
def scope(server: Any, scope_of: Any) -> ScopeOf:
    def made(role: str = "remediator", **settings: Any) -> Scope:
        stack = {"postgres": {"main": {"dsn": server.dsn("owner"), "admin_dsn": server.dsn(role)}}}
        return scope_of("postgres", stack=stack, **settings)

    return made


def tables(plan: Plan) -> list[Any]:
    return [item.evidence["table"] for item in plan.items]


def analyze_count(database: Any, table: str) -> str:
    return str(database.sql(f"SELECT analyze_count FROM pg_stat_user_tables WHERE relname = '{table}'"))


async def test_plan_lists_much_changed_tables_first(server, scope) -> None:
    change(server, "items", 1_500)
    change(server, "orders", 4_000)
    change(server, "quiet", 900)
    plan = await plan_of(scope())
    assert tables(plan) == ["orders", "items"]
    assert (plan.found, plan.population, plan.empty_reason) == (2, 3, "")
    assert plan.items[0].evidence["modified"] == 4_000
    assert plan.items[0].evidence["schema"] == "public"
    assert plan.items[0].evidence["owner"] == "owner"
    assert plan.items[0].evidence["bytes"] > 0
    assert set(plan.items[0].identity) == {"oid", "relfilenode", "analyzed"}


async def test_changed_table_with_old_statistics_is_planned(server, scope) -> None:
    change(server, "quiet", 1)
    await asyncio.sleep(1.1)
    assert tables(await plan_of(scope())) == []  # a day is not over
    plan = await plan_of(scope(older_than=timedelta(seconds=1)))
    assert tables(plan) == ["quiet"]  # the others have not changed
    [outcome] = await apply(scope(older_than=timedelta(seconds=1)), *plan.items)
    assert outcome.state is ItemState.APPLIED
    assert (await verify(scope(), *plan.items)) == Verdict(True, {"analyzed": 1})
    await asyncio.sleep(1.1)
    assert tables(await plan_of(scope(older_than=timedelta(seconds=1)))) == []


async def test_large_table_is_planned_by_its_share_of_changes(server, scope) -> None:
    server.sql(f"INSERT INTO quiet SELECT generate_series(1, 10000); {FLUSH}", role="owner")
    server.sql("ANALYZE quiet", role="owner")
    change(server, "quiet", 1_000)  # two rows have each of these ids: 2,000 of 15,000
    assert (await plan_of(scope())).items == ()


async def test_exactly_the_planned_tables_are_analyzed_and_verified(server, scope) -> None:
    change(server, "items", 3_000)
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    assert [outcome.state for outcome in await apply(scope(), plan.items[0])] == [ItemState.APPLIED]
    assert (analyze_count(server, "orders"), analyze_count(server, "items")) == ("2", "1")
    assert (await verify(scope(), plan.items[0])) == Verdict(True, {"analyzed": 1})
    assert (await verify(scope(), *plan.items)) == Verdict(False, {"analyzed": 1, "not_analyzed": 1})
    assert await resolve_outcome(scope(), *plan.items) == [ItemState.APPLIED, ItemState.NOT_APPLIED]
    assert tables(await plan_of(scope())) == ["items"]


async def test_table_names_are_quoted(server, scope) -> None:
    server.sql('CREATE SCHEMA "we;ird" AUTHORIZATION owner')
    server.sql(
        'CREATE TABLE "we;ird"."a""b; DROP TABLE orders" (id int) WITH (autovacuum_enabled = false);'
        f'INSERT INTO "we;ird"."a""b; DROP TABLE orders" SELECT generate_series(1, 2000); {FLUSH}',
        role="owner",
    )
    plan = await plan_of(scope())
    assert [outcome.state for outcome in await apply(scope(), *plan.items)] == [ItemState.APPLIED]
    assert server.sql("SELECT count(*) FROM orders") == "5000"


async def test_truncated_table_is_skipped(server, scope) -> None:
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    server.sql("TRUNCATE orders", role="owner")
    [outcome] = await apply(scope(), *plan.items)
    assert outcome.state is ItemState.SKIPPED
    assert "truncated or rewritten" in outcome.detail
    assert analyze_count(server, "orders") == "1"


async def test_other_table_of_the_same_name_is_skipped(server, scope) -> None:
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    server.sql("DROP TABLE orders", role="owner")
    make_tables(server, "orders")
    [outcome] = await apply(scope(), *plan.items)
    assert (outcome.state, outcome.detail) == (ItemState.SKIPPED, "has been dropped since it was planned")
    assert analyze_count(server, "orders") == "1"


async def test_renamed_table_is_still_analyzed(server, scope) -> None:
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    server.sql("ALTER TABLE orders RENAME TO old_orders", role="owner")
    make_tables(server, "orders")
    assert [outcome.state for outcome in await apply(scope(), *plan.items)] == [ItemState.APPLIED]
    assert (analyze_count(server, "orders"), analyze_count(server, "old_orders")) == ("1", "2")


async def test_table_analyzed_since_the_plan_is_skipped(server, scope) -> None:
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    server.sql("ANALYZE orders", role="owner")
    [outcome] = await apply(scope(), *plan.items)
    assert (outcome.state, outcome.detail) == (ItemState.SKIPPED, "has been analyzed since it was planned")
    assert analyze_count(server, "orders") == "2"


async def test_locked_table_is_skipped_without_waiting(server, scope, connect) -> None:
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
    async with open_session(scope()) as session:
        await session.connection.execute("SET lock_timeout = 0")  # it would wait until the statement is cancelled
        [outcome] = await session.apply(plan.items)
    assert outcome.state is ItemState.SKIPPED
    assert "another session is vacuuming, analyzing or altering it" in outcome.detail


async def test_table_under_writes_is_analyzed(server, scope, connect) -> None:
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    writer = await connect()
    await writer.execute("BEGIN; UPDATE orders SET id = id WHERE id = 1")
    assert [outcome.state for outcome in await apply(scope(), *plan.items)] == [ItemState.APPLIED]


async def test_locked_table_does_not_delay_the_plan(server, scope, connect) -> None:
    change(server, "orders", 4_000)
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE orders")
    assert tables(await plan_of(scope())) == ["orders"]


async def test_slow_analyze_is_cancelled(server, scope, monkeypatch) -> None:
    """The server pauses after each page, so that the statement always exceeds its limit."""
    monkeypatch.setattr("remediator.remediations.analyze_tables.ANALYZE_SECONDS", "0.001")
    change(server, "orders", 4_000)
    for setting in ("vacuum_cost_delay = '100ms'", "vacuum_cost_limit = 1"):
        server.sql(f"ALTER DATABASE {server.name} SET {setting}")
    [outcome] = await apply(scope(), *(await plan_of(scope())).items)
    assert (outcome.state, outcome.detail) == (ItemState.FAILED, "took longer than 0.001 s")
    assert analyze_count(server, "orders") == "1"


async def test_running_backup_empties_the_plan(server, scope, connect) -> None:
    change(server, "orders", 4_000)
    dump = await connect(application="pg_dump")
    plan = await plan_of(scope())
    assert (plan.items, plan.found, plan.empty_reason) == ((), 0, "backup_running")
    assert plan.evidence == {"backup": "pg_dump"}
    await dump.close()
    assert (await plan_of(scope())).empty_reason == ""


async def test_backup_begun_since_the_plan_skips_the_table(server, scope, connect) -> None:
    change(server, "items", 3_000)
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    async with open_session(scope()) as session:
        [first] = await session.apply(plan.items[:1])
        dump = await connect(application="pg_dump")
        [second] = await session.apply(plan.items[1:])
        await dump.close()
    assert first.state is ItemState.APPLIED
    assert (second.state, second.detail) == (ItemState.SKIPPED, "a backup is running")
    assert analyze_count(server, "items") == "1"


async def test_too_large_table_is_left_out_and_counted(server, scope, monkeypatch) -> None:
    monkeypatch.setattr("remediator.remediations.analyze_tables.MAX_BYTES", 8192)
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    assert (plan.items, plan.found, plan.evidence) == ((), 0, {"left_out": {"too_large": 1}})
    assert plan.empty_reason == "too_large"


async def test_table_grown_too_large_is_skipped(server, scope, monkeypatch) -> None:
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    monkeypatch.setattr("remediator.remediations.analyze_tables.MAX_BYTES", 8192)
    [outcome] = await apply(scope(), *plan.items)
    assert (outcome.state, outcome.detail) == (ItemState.SKIPPED, "has grown too large")


async def test_missing_right_is_named(server, scope) -> None:
    make_tables(server, "abroad", role="stranger")
    change(server, "abroad", 4_000, "stranger")
    with pytest.raises(TargetUnreachable) as caught:
        await plan_of(scope())
    assert 'role "remediator" may not analyze public.abroad (1 such tables)' in str(caught.value)
    assert 'GRANT "stranger" TO "remediator"' in str(caught.value)


async def test_tables_of_other_owners_are_left_out_and_counted(server, scope) -> None:
    make_tables(server, "abroad", role="stranger")
    change(server, "abroad", 4_000, "stranger")
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    assert (tables(plan), plan.found, plan.evidence) == (["orders"], 1, {"left_out": {"no_right": 1}})


async def test_right_revoked_since_the_plan_is_named(server, scope) -> None:
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    server.sql("ALTER TABLE orders OWNER TO stranger")
    [outcome] = await apply(scope(), *plan.items)
    assert outcome.state is ItemState.FAILED
    assert "permission denied for table orders" in outcome.detail
    assert 'GRANT "owner" TO "remediator"' in outcome.detail


async def test_role_that_cannot_see_backups_is_refused(scope) -> None:
    with pytest.raises(TargetUnreachable, match='GRANT pg_read_all_stats TO "blind"'):
        await plan_of(scope("blind"))


async def test_running_statement_is_unknown(server, scope, connect, monkeypatch) -> None:
    monkeypatch.setattr("remediator.remediations.analyze_tables.OUTCOME_READINGS", 2)
    change(server, "orders", 4_000)
    plan = await plan_of(scope())
    other = await connect("remediator", "runbook-remediator:17")
    busy = asyncio.create_task(other.execute("SELECT pg_sleep(60)"))

    async def active() -> str:
        here = "datname = current_database() AND query = 'SELECT pg_sleep(60)'"
        return str(server.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {here}"))

    await becomes(active, "1")
    assert await resolve_outcome(scope(), *plan.items) == [ItemState.UNKNOWN]
    other.terminate()
    with pytest.raises(asyncpg.PostgresConnectionError):
        await busy
