"""terminate_idle_transactions on a real PostgreSQL, under the role of deploy/postgres/remediator.sql."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from demo.servers.postgres import PostgresServer
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import ItemState, Plan, Scope
from tests.integration.remediator.remediations.steps import Steps
from tests.unit.remediator.polling import becomes

GRANTS = Path(__file__).parents[4] / "deploy" / "postgres" / "remediator.sql"
OpenSession = Callable[..., Awaitable[asyncpg.Connection]]
STEPS = Steps("terminate_idle_transactions")
open_session = STEPS.open_session
plan_of = STEPS.plan_of
apply = STEPS.apply_in_words


@pytest.fixture(scope="module")
def roles(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """Create the remediator's role with its grants, and roles of a product."""
    for role in ("remediator", "shop", "batch", "reporting"):
        postgres_server.add_role(role)
    postgres_server.sql(GRANTS.read_text())
    postgres_server.sql(GRANTS.read_text())  # it may be run again
    postgres_server.add_role("replicator", "REPLICATION")
    postgres_server.add_role("owner", "SUPERUSER NOREPLICATION")
    postgres_server.add_role("blind", "IN ROLE pg_signal_backend")
    postgres_server.add_role("watcher", "IN ROLE pg_read_all_stats")
    yield postgres_server
    for role in ("remediator", "shop", "batch", "reporting", "replicator", "owner", "blind", "watcher"):
        postgres_server.sql(f"DROP ROLE {role}")


@pytest.fixture
def server(roles: PostgresServer, database: Any) -> Any:
    database.sql("CREATE TABLE stock (sku int PRIMARY KEY, reserved int NOT NULL)")
    database.sql("INSERT INTO stock SELECT n, 0 FROM generate_series(1, 50) AS n")
    database.sql("GRANT SELECT, UPDATE ON stock TO shop, batch, reporting, replicator")
    return database


@pytest.fixture
async def connect(server: Any) -> AsyncIterator[OpenSession]:
    """Open sessions of the product, and close those that the test has not ended."""
    opened: list[asyncpg.Connection] = []

    async def make(role: str = "shop", application: str = "shop-api", dsn: str | None = None) -> asyncpg.Connection:
        settings = {"application_name": application}
        connection = await asyncpg.connect(dsn or server.dsn(role), server_settings=settings)
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.terminate()


async def idle(connect: OpenSession, *arguments: Any, sku: int | None = None, **options: Any) -> asyncpg.Connection:
    """Open a session that holds an idle transaction open."""
    connection = await connect(*arguments, **options)
    await connection.execute("BEGIN")
    if sku is None:
        await connection.execute("SELECT count(*) FROM stock /* alice@example.com */")
    else:
        await connection.execute("SELECT set_config('test.sku', $1, true)", str(sku))
        await connection.execute("UPDATE stock SET reserved = 1 WHERE sku = current_setting('test.sku')::int")
    return connection


def backend(connection: asyncpg.Connection) -> int:
    return int(connection.get_server_pid())


def pids(plan: Plan) -> list[Any]:
    return [item.identity["pid"] for item in plan.items]


@pytest.fixture
def scope(server: Any, scope_of: Any) -> Callable[..., Scope]:
    def make(role: str = "remediator", **settings: Any) -> Scope:
        stack = {"postgres": {"main": {"dsn": server.dsn("shop"), "admin_dsn": server.dsn(role)}}}
        return scope_of("postgres", stack=stack, **{"older_than": "1s", **settings})

    return make


async def wait_until_old() -> None:
    """Wait until sessions that are idle now have been idle for older_than."""
    await asyncio.sleep(1.1)


async def alive(connection: asyncpg.Connection) -> bool:
    try:
        return await connection.fetchval("SELECT 1") == 1
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return False


async def test_plan_lists_idle_transactions_oldest_first_without_literals(connect, scope) -> None:
    older = await idle(connect, sku=7)
    younger = await idle(connect, "batch", "shop-batch")
    waiter = await connect()
    waiting = asyncio.create_task(waiter.execute("UPDATE stock SET reserved = 2 WHERE sku = 7"))
    await wait_until_old()
    plan = await plan_of(scope())
    waiting.cancel()

    assert pids(plan) == [backend(older), backend(younger)]
    assert plan.found == 2
    assert plan.population >= 4  # older, younger, waiter, ourselves
    assert plan.evidence == {"may_signal": True}
    evidence = plan.items[0].evidence
    assert evidence["role"] == "shop"
    assert evidence["application"] == "shop-api"
    assert evidence["client_address"] == "127.0.0.1"
    assert evidence["blocks_sessions"] == 1
    assert evidence["last_command"] == "UPDATE"
    assert 1 <= evidence["idle_seconds"] < 30
    assert plan.items[1].evidence["blocks_sessions"] == 0
    assert "alice" not in repr(plan)
    assert set(plan.items[0].identity) == {"pid", "backend_start", "xact_start", "state_change"}


async def test_exactly_the_planned_sessions_are_ended(connect, scope) -> None:
    guilty = await idle(connect, sku=1)
    waiter = await connect()
    waiting = asyncio.create_task(waiter.execute("UPDATE stock SET reserved = 2 WHERE sku = 1"))
    bystander = await connect()
    await wait_until_old()
    plan = await plan_of(scope())

    assert pids(plan) == [backend(guilty)]
    assert await apply(scope(), *plan.items) == [(ItemState.APPLIED, "ended")]
    assert await asyncio.wait_for(waiting, 60) == "UPDATE 1"
    assert not await alive(guilty)
    assert await alive(bystander)
    async with open_session(scope()) as session:
        verdict = await session.verify(plan.items)
    assert verdict.clean
    assert verdict.evidence == {"found": 0, "applied": 1, "applied_still_there": 0}


async def test_protected_session_is_never_planned(connect, scope) -> None:
    kept = [
        await idle(connect, "reporting"),
        await idle(connect, "shop", "shop-migrate"),
        await idle(connect, "shop", "pg_dump"),
        await idle(connect, "shop", "pgBackRest [backup]"),
        await idle(connect, "shop", "pg_repack"),
        await idle(connect, "shop", "pgcopydb[312] clone --follow"),
        await idle(connect, "shop", "Debezium Streaming"),
        await idle(connect, "shop", "/usr/local/bundle/bin/pg-online-schema-change"),
        await idle(connect, "shop", "runbook-exporter"),
        await idle(connect, "replicator"),
        await idle(connect, "owner"),  # a superuser
        await connect(),
    ]
    guilty = await idle(connect)
    await wait_until_old()
    protecting = scope(protect={"roles": ["reporting"], "applications": ["shop-migrate"]})
    plan = await plan_of(protecting)
    outcomes = await apply(protecting, *plan.items)

    assert pids(plan) == [backend(guilty)]
    assert [state for state, _ in outcomes] == [ItemState.APPLIED]
    assert all([await alive(connection) for connection in kept])


async def test_sessions_of_other_databases_are_not_planned(connect, scope, roles) -> None:
    elsewhere = await connect(dsn=roles.dsn("shop", "postgres"))
    await elsewhere.execute("BEGIN")
    await elsewhere.execute("SELECT 1")
    await wait_until_old()
    assert (await plan_of(scope())).found == 0
    assert await alive(elsewhere)


async def test_aborted_active_and_young_transactions_are_not_planned(connect, scope) -> None:
    aborted = await idle(connect)
    with pytest.raises(asyncpg.PostgresError):
        await aborted.execute("SELECT 1/0")
    active = await connect()
    sleeping = asyncio.create_task(active.execute("SELECT pg_sleep(60)"))
    await asyncio.sleep(3.1)
    await idle(connect)
    assert (await plan_of(scope(older_than="3s"))).found == 0
    sleeping.cancel()


async def test_planned_session_that_is_now_protected_is_skipped(connect, scope) -> None:
    """The acting statement checks all exclusions: the inventory may have changed since the plan."""
    session = await idle(connect)
    await wait_until_old()
    plan = await plan_of(scope())
    [(state, detail)] = await apply(scope(protect={"roles": ["shop"]}), *plan.items)
    assert (state, detail) == (ItemState.SKIPPED, "is now protected or no longer old enough")
    assert await alive(session)


@pytest.mark.parametrize("statement", ["SELECT 1", "COMMIT; BEGIN"])
async def test_session_that_has_worked_since_the_plan_is_skipped(connect, scope, statement: str) -> None:
    session = await idle(connect)
    await wait_until_old()
    plan = await plan_of(scope())
    await session.execute(statement)
    await wait_until_old()  # it is idle for long enough again, but it is not the idleness that was planned
    [(state, detail)] = await apply(scope(), *plan.items)
    assert state is ItemState.SKIPPED
    assert detail == "has resumed work (now idle in transaction)"
    assert await alive(session)


@pytest.mark.parametrize("key", ["backend_start", "xact_start", "state_change"])
async def test_session_with_another_start_by_one_microsecond_is_skipped(connect, scope, key: str) -> None:
    session = await idle(connect)
    await wait_until_old()
    item = (await plan_of(scope())).items[0]
    moment = datetime.fromisoformat(str(item.identity[key]))
    other = replace(item, identity={**item.identity, key: (moment + timedelta(microseconds=1)).isoformat()})
    [(state, _)] = await apply(scope(), other)
    assert state is ItemState.SKIPPED
    assert await alive(session)


async def test_session_that_has_ended_is_skipped(connect, scope) -> None:
    session = await idle(connect)
    await wait_until_old()
    plan = await plan_of(scope())
    await session.close()
    assert await apply(scope(), *plan.items) == [(ItemState.SKIPPED, "had already ended")]


async def test_missing_right_to_signal_fails_with_the_remedy(connect, scope) -> None:
    session = await idle(connect)
    await wait_until_old()
    plan = await plan_of(scope("watcher"))
    [(state, detail)] = await apply(scope("watcher"), *plan.items)
    assert plan.evidence == {"may_signal": False}
    assert state is ItemState.FAILED
    assert "pg_signal_backend" in detail
    assert await alive(session)


async def test_session_that_does_not_end_fails_the_effect(connect, scope) -> None:
    """A stopped backend cannot react to the signal; both `apply` and `resolve_outcome` must report it."""
    session = await idle(connect)
    await wait_until_old()
    plan = await plan_of(scope())
    stopped_pid = host_pid(backend(session))
    os.kill(stopped_pid, signal.SIGSTOP)
    try:
        [(state, detail)] = await apply(scope(), *plan.items)
        async with open_session(scope()) as remediation_session:
            [resolved] = await remediation_session.resolve_outcome(plan.items)
    finally:
        os.kill(stopped_pid, signal.SIGCONT)
    assert (state, detail) == (ItemState.FAILED, "was signalled, but has not ended after 5 s")
    assert resolved.state is ItemState.NOT_APPLIED
    await becomes(partial(alive, session), False)


def host_pid(number: int) -> int:
    """Return the backend's process id on this host: the cluster may run in its own namespace."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                lines = (folder / "status").read_text().splitlines()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
            if numbers and int(numbers[-1]) == number and b"idle in transaction" in command:
                return int(folder.name)
    raise AssertionError(f"no backend {number}")


async def test_outcome_of_a_session_is_resolved(connect, scope) -> None:
    there, gone = await idle(connect), await idle(connect)
    await wait_until_old()
    plan = await plan_of(scope())
    await gone.close()
    async with open_session(scope()) as session:
        outcomes = await session.resolve_outcome(plan.items)
    assert [outcome.state for outcome in outcomes] == [ItemState.NOT_APPLIED, ItemState.APPLIED]
    assert await alive(there)


async def test_outcome_waits_for_a_late_signal(connect, scope) -> None:
    session = await idle(connect)
    await wait_until_old()
    plan = await plan_of(scope())
    asyncio.get_running_loop().call_later(0.8, session.terminate)
    async with open_session(scope()) as remediation_session:
        [outcome] = await remediation_session.resolve_outcome(plan.items)
    assert outcome.state is ItemState.APPLIED


async def test_outcome_is_unknown_while_the_statement_still_runs(connect, scope) -> None:
    await idle(connect)
    await wait_until_old()
    plan = await plan_of(scope())
    lost = await connect("remediator", "runbook-remediator:17")
    statement = asyncio.create_task(lost.execute("SELECT pg_sleep(60)"))
    await wait_until_active(connect, "runbook-remediator:17")
    async with open_session(scope()) as session:
        [outcome] = await session.resolve_outcome(plan.items)
    statement.cancel()
    assert outcome.state is ItemState.UNKNOWN


async def wait_until_active(connect: OpenSession, application: str) -> None:
    observer = await connect("remediator", "observer")

    async def active() -> int:
        statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'"
        return int(await observer.fetchval(statement, application))

    await becomes(active, 1)


async def test_run_with_batch_is_clean_when_its_own_sessions_have_ended(connect, scope) -> None:
    first = await idle(connect)
    await idle(connect)
    await wait_until_old()
    plan = await plan_of(scope())
    await apply(scope(), plan.items[0])
    async with open_session(scope(batch=1)) as session:
        batched = await session.verify(plan.items[:1])
        none_ended = await session.verify(plan.items[1:])
    async with open_session(scope()) as session:
        whole = await session.verify(plan.items[:1])
    assert not await alive(first)
    assert (batched.clean, none_ended.clean, whole.clean) == (True, False, False)
    assert whole.evidence == {"found": 1, "applied": 1, "applied_still_there": 0}


async def test_role_that_cannot_see_states_is_refused(connect, scope) -> None:
    await idle(connect)
    await wait_until_old()
    with pytest.raises(TargetUnreachable, match='GRANT pg_read_all_stats TO "blind"'):
        await plan_of(scope("blind"))
