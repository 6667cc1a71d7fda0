"""vacuum_tables on real servers, under the role of remediator.sql and maintain_tables.sql in deploy/postgres.

PostgreSQL 18 has the MAINTAIN privilege; before 17, the role needs all rights of the owner.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from demo.servers.postgres import PostgresServer
from remediator.model.errors import RunRefused, TargetUnreachable
from remediator.model.remediation import EffectOutcome, ItemState, Plan, Scope, Verdict
from remediator.remediations import REMEDIATIONS
from tests.integration.remediator.remediations.steps import FLUSH, Steps
from tests.unit.remediator.polling import becomes

GRANTS = Path(__file__).parents[4] / "deploy" / "postgres"
ROLES = ("remediator", "owner", "stranger")
MODULE = "remediator.remediations.vacuum_tables"
remediation = REMEDIATIONS["vacuum_tables"]
STEPS = Steps("vacuum_tables")
open_session = STEPS.open_session
plan_of = STEPS.plan_of
apply = STEPS.apply
verify = STEPS.verify
resolve_outcome = STEPS.resolve_outcome


@dataclass(frozen=True)
class Shop:
    """A database with tables whose rows only the test deletes."""

    server: PostgresServer
    name: str

    def sql(self, statements: str, role: str | None = None) -> str:
        options = {"role": role} if role else {}
        return str(self.server.sql(statements, database=self.name, **options)).strip()

    def dsn(self, role: str) -> str:
        return self.server.dsn(role, self.name)

    def add_table(self, table: str, role: str = "owner", rows: int = 5_000) -> None:
        self.sql(
            f"CREATE TABLE {table} (id int) WITH (autovacuum_enabled = false);"
            f"INSERT INTO {table} SELECT generate_series(1, {rows}); {FLUSH}",
            role,
        )

    def delete(self, table: str, rows: int, role: str = "owner") -> None:
        self.sql(f"DELETE FROM {table} WHERE id <= {rows}; {FLUSH}", role)

    def vacuum_count(self, table: str) -> int:
        return int(self.sql(f"SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = '{table}'"))


@pytest.fixture(params=["postgres_server"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    server: PostgresServer = request.getfixturevalue(request.param)
    made = Shop(server, f"test_{uuid.uuid4().hex[:12]}")
    server.add_database(made.name)
    for role in ROLES:
        server.add_role(role)
    made.sql((GRANTS / "remediator.sql").read_text())
    made.sql("GRANT CREATE ON SCHEMA public TO owner, stranger")
    made.sql("\\set owner owner\n\\set schema public\n" + (GRANTS / "maintain_tables.sql").read_text())
    made.add_table("orders")
    made.add_table("items")
    yield made
    server.drop_database(made.name)
    for role in ROLES:
        server.sql(f"DROP ROLE {role}")


on_18 = pytest.mark.parametrize("shop", ["postgres18"], indirect=True)
on_all = pytest.mark.parametrize("shop", ["postgres_server", "postgres16", "postgres18"], indirect=True)


@pytest.fixture
def scope(shop: Shop, scope_of: Any) -> Any:
    def made(window: dict[str, Any] | None = None, **settings: Any) -> Scope:
        stack: dict[str, Any] = {"postgres": {"main": {"dsn": shop.dsn("owner"), "admin_dsn": shop.dsn("remediator")}}}
        if window is not None:
            stack["windows"] = {"maintenance": window}
            settings["only_in"] = "maintenance"
        return scope_of("postgres", stack=stack, **{"mode": "approve", **settings})

    return made


@pytest.fixture
async def connect(shop: Shop) -> AsyncIterator[Any]:
    made: list[asyncpg.Connection] = []

    async def connect(role: str = "owner", application: str = "shop-api") -> asyncpg.Connection:
        made.append(await asyncpg.connect(shop.dsn(role), server_settings={"application_name": application}))
        return made[-1]

    yield connect
    for connection in made:
        connection.terminate()


def tables(plan: Plan) -> list[Any]:
    return [item.evidence["table"] for item in plan.items]


async def planned(shop: Shop, scope: Any, *names: str) -> Plan:
    """Plan once the statistics of the tables have arrived."""

    async def listed() -> set[str]:
        return set(tables(await plan_of(scope())))

    await becomes(listed, set(names))
    return await plan_of(scope())


@on_all
async def test_planned_table_is_vacuumed_and_verified(shop, scope) -> None:
    shop.delete("orders", 4_000)
    plan = await planned(shop, scope, "orders")
    assert (plan.found, plan.population, plan.empty_reason) == (1, 2, "")
    evidence = dict(plan.items[0].evidence)
    assert evidence.pop("bytes") >= 0
    assert evidence == {"schema": "public", "table": "orders", "owner": "owner", "dead": 4_000, "rows": 1_000}
    assert set(plan.items[0].identity) == {"oid", "relfilenode", "vacuumed"}
    assert not (await verify(scope(), *plan.items)).clean
    assert await resolve_outcome(scope(), *plan.items) == [ItemState.NOT_APPLIED]
    assert await apply(scope(), *plan.items) == [EffectOutcome(ItemState.APPLIED, "vacuumed and analyzed")]
    assert (shop.vacuum_count("orders"), shop.vacuum_count("items")) == (1, 0)
    assert shop.sql("SELECT analyze_count FROM pg_stat_user_tables WHERE relname = 'orders'") == "1"
    assert await verify(scope(), *plan.items) == Verdict(True, {"vacuumed": 1})
    assert await resolve_outcome(scope(), *plan.items) == [ItemState.APPLIED]
    assert (await plan_of(scope())).items == ()
    [again] = await apply(scope(), *plan.items)
    assert (again.state, again.detail) == (ItemState.SKIPPED, "has been vacuumed since it was planned")


async def test_table_without_dead_rows_is_not_planned(shop, scope) -> None:
    plan = await plan_of(scope())
    assert (plan.items, plan.found, plan.empty_reason) == ((), 0, "")


async def test_few_dead_rows_are_planned_once_the_last_vacuum_is_old(shop, scope) -> None:
    shop.delete("items", 10)
    await planned(shop, scope, "items")  # never vacuumed
    shop.sql("VACUUM items", "owner")
    shop.sql(f"DELETE FROM items WHERE id BETWEEN 11 AND 20; {FLUSH}", "owner")
    await asyncio.sleep(1.1)
    assert (await plan_of(scope())).items == ()
    assert tables(await plan_of(scope(older_than="1s"))) == ["items"]


async def test_locked_table_is_skipped_although_the_server_reports_success(shop, scope, connect, monkeypatch) -> None:
    monkeypatch.setattr(f"{MODULE}.COUNT_SECONDS", 0.5)
    shop.delete("orders", 4_000)
    plan = await planned(shop, scope, "orders")
    holder = await connect()
    await holder.execute("BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
    [outcome] = await apply(scope(), *plan.items)
    assert (outcome.state, outcome.detail) == (
        ItemState.SKIPPED,
        "the server skipped it: another session holds a lock on it, or the role has lost its right",
    )
    assert shop.vacuum_count("orders") == 0


async def test_dead_rows_that_an_old_transaction_keeps_are_no_success(shop, scope, connect) -> None:
    holder = await connect()
    await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    shop.delete("orders", 4_000)
    plan = await planned(shop, scope, "orders")
    assert [outcome.state for outcome in await apply(scope(), *plan.items)] == [ItemState.APPLIED]
    assert await verify(scope(), *plan.items) == Verdict(False, {"dead_rows_kept": 1})


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("TRUNCATE orders", "is no longer the planned table, or was truncated or rewritten since"),
        ("DROP TABLE orders", "has been dropped since it was planned"),
    ],
)
async def test_table_that_changed_since_the_plan_is_skipped(shop, scope, statement: str, detail: str) -> None:
    shop.delete("orders", 4_000)
    plan = await planned(shop, scope, "orders")
    shop.sql(statement, "owner")
    [outcome] = await apply(scope(), *plan.items)
    assert (outcome.state, outcome.detail) == (ItemState.SKIPPED, detail)


async def slow_vacuum(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make VACUUM pause for up to 0.4 s after each page, of which `orders` has 23."""
    settings = "SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 1; SET client_connection_check_interval = '1s'"
    monkeypatch.setattr(f"{MODULE}.SETTINGS", settings)


def open_for(seconds: float) -> tuple[dict[str, Any], datetime]:
    """Return a window that has opened and ends in so many seconds, and its end."""
    end = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    start = end - timedelta(hours=1)
    return {"days": days, "from": f"{start:%H:%M:%S}", "to": f"{end:%H:%M:%S}"}, end


async def test_own_vacuum_is_cancelled_at_the_end_of_the_window(shop, scope, monkeypatch) -> None:
    monkeypatch.setattr(f"{MODULE}.SHORTEST_SECONDS", 1)
    shop.add_table("events", rows=50_000)
    shop.delete("events", 40_000)
    plan = await planned(shop, scope, "events")
    await slow_vacuum(shop, monkeypatch)
    window, end = open_for(5)
    [outcome] = await apply(scope(window), *plan.items)
    assert outcome.state is ItemState.SKIPPED
    assert "was cancelled at the end of the window maintenance" in outcome.detail
    assert -1 < (datetime.now(UTC) - end).total_seconds() < 15, "it would take more than a minute"
    assert shop.vacuum_count("events") == 0


@pytest.mark.parametrize("seconds", [8, -1])
async def test_no_table_is_begun_shortly_before_or_after_the_end_of_the_window(shop, scope, seconds: int) -> None:
    shop.delete("orders", 4_000)
    plan = await planned(shop, scope, "orders")
    [outcome] = await apply(scope(open_for(seconds)[0]), *plan.items)
    assert (outcome.state, outcome.detail) == (ItemState.SKIPPED, "the window maintenance is about to end")


async def test_slow_vacuum_fails_at_its_limit(shop, scope, monkeypatch) -> None:
    shop.delete("orders", 4_000)
    plan = await planned(shop, scope, "orders")
    await slow_vacuum(shop, monkeypatch)
    monkeypatch.setattr(f"{MODULE}.VACUUM_SECONDS", 1.2)
    monkeypatch.setattr(f"{MODULE}.SHORTEST_SECONDS", 1)
    [outcome] = await apply(scope(), *plan.items)
    assert (outcome.state, outcome.detail) == (ItemState.FAILED, "took longer than 1 s; vacuum it by hand")


async def test_vacuum_of_a_lost_remediator_ends_and_is_looked_up(shop, scope, monkeypatch) -> None:
    shop.delete("orders", 4_000)
    plan = await planned(shop, scope, "orders")
    await slow_vacuum(shop, monkeypatch)
    async with remediation.open(scope()) as session:
        effect = asyncio.create_task(session.apply(plan.items))
        await becomes(lambda: vacuuming(shop), "1")
        session.connection.terminate()
        assert await resolve_outcome(scope(), *plan.items) == [ItemState.NOT_APPLIED]
        with suppress(Exception):
            await effect
    assert await vacuuming(shop) == "0"


async def vacuuming(shop: Shop) -> str:
    return shop.sql("SELECT count(*) FROM pg_stat_progress_vacuum WHERE datname = current_database()")


async def test_table_that_is_being_vacuumed_is_left_out_and_skipped(shop, scope, connect) -> None:
    shop.delete("orders", 4_000)
    plan = await planned(shop, scope, "orders")
    other = await connect()
    await other.execute("SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 1")
    running = asyncio.create_task(other.execute("VACUUM orders"))
    await becomes(lambda: vacuuming(shop), "1")
    now = await plan_of(scope())
    [outcome] = await apply(scope(), *plan.items)
    running.cancel()
    assert (now.items, now.evidence["left_out"]) == ((), {"being_vacuumed": 1})
    assert (outcome.state, outcome.detail) == (ItemState.SKIPPED, "autovacuum or another session is vacuuming it")


async def test_nothing_is_vacuumed_while_a_backup_runs(shop, scope, connect) -> None:
    shop.delete("orders", 4_000)
    plan = await planned(shop, scope, "orders")
    await connect(application="pg_dump")
    now = await plan_of(scope())
    [outcome] = await apply(scope(), *plan.items)
    assert (now.items, now.empty_reason) == ((), "backup_running")
    assert (outcome.state, outcome.detail) == (ItemState.SKIPPED, "a backup is running")


async def test_too_large_table_is_left_out_and_skipped(shop, scope, monkeypatch) -> None:
    shop.delete("orders", 4_000)
    shop.sql("ANALYZE orders", "owner")  # the planner learns its size
    plan = await planned(shop, scope, "orders")
    monkeypatch.setattr(f"{MODULE}.MAX_BYTES", 8192)
    now = await plan_of(scope())
    [outcome] = await apply(scope(), *plan.items)
    assert (now.items, now.empty_reason) == ((), "too_large")
    assert (outcome.state, outcome.detail) == (ItemState.SKIPPED, "has grown too large")


@pytest.mark.parametrize("shop", ["postgres_server", "postgres18"], indirect=True)
async def test_missing_right_is_named(shop, scope) -> None:
    shop.add_table("abroad", "stranger")
    shop.delete("abroad", 4_000, "stranger")
    with pytest.raises(TargetUnreachable, match=r'role "remediator" may not vacuum public\.abroad') as caught:
        await plan_of(scope())
    right = "GRANT MAINTAIN on it" if "postgres18" in str(shop.server.folder) else 'GRANT "stranger" TO "remediator"'
    assert right in str(caught.value)


async def test_mode_auto_is_refused_before_postgresql_17(shop, scope) -> None:
    with pytest.raises(RunRefused, match="has no MAINTAIN, so the role needs all rights of the owner") as caught:
        await plan_of(scope(mode="auto"))
    assert caught.value.reason == "role_too_wide"


@on_18
async def test_mode_auto_needs_maintain_and_no_more(shop, scope) -> None:
    shop.delete("orders", 4_000)
    await planned(shop, scope, "orders")
    assert tables(await plan_of(scope(mode="auto"))) == ["orders"]
    shop.sql("GRANT owner TO remediator")
    with pytest.raises(RunRefused, match=r'has all rights of "owner", the owner of public\.orders; REVOKE "owner"'):
        await plan_of(scope(mode="auto"))
