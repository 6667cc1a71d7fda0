"""cancel_long_queries on a real PostgreSQL, under the role of deploy/postgres/remediator.sql."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.steps import Steps
from tests.integration.remediator.remediations.test_terminate_idle_transactions import (
    alive,
    backend,
    connect,
    pids,
    roles,
    scope,
    server,
    wait_until_active,
    wait_until_old,
)
from tests.unit.remediator.polling import becomes

__all__ = ["connect", "roles", "scope", "server"]

STEPS = Steps("cancel_long_queries")
open_session = STEPS.open_session
plan_of = STEPS.plan_of
apply = STEPS.apply_in_words
SLEEP = "SELECT pg_sleep(60) /* alice@example.com */"
# Catches the cancellation, so that only the end of its session ends it.
STUBBORN = """
    CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        LOOP
            BEGIN
                PERFORM pg_sleep(60);
            EXCEPTION WHEN query_canceled THEN NULL;
            END;
        END LOOP;
    END $$"""


@dataclass
class Queries:
    """The queries that a test runs, each in a session of its own."""

    connect: Any
    database: Any
    tasks: dict[int, "asyncio.Task[str]"] = field(default_factory=dict)

    async def run(self, text: str, *arguments: Any, dsn: str | None = None) -> asyncpg.Connection:
        """Begin a query, and return when the server runs it."""
        connection: asyncpg.Connection = await self.connect(*arguments, dsn=dsn)
        pid = backend(connection)
        self.tasks[pid] = asyncio.create_task(connection.execute(text))
        await becomes(lambda: self._state(pid), "active")
        return connection

    async def _state(self, pid: int) -> str:
        return str(self.database.sql(f"SELECT state FROM pg_stat_activity WHERE pid = {pid}")).strip()

    async def was_cancelled(self, connection: asyncpg.Connection) -> bool:
        """Return whether the query of a session has been cancelled, and not its session."""
        with suppress(asyncpg.QueryCanceledError):
            await asyncio.wait_for(self.tasks[backend(connection)], 20)
            return False
        return await alive(connection)


@pytest.fixture
async def queries(connect: Any, server: Any) -> AsyncIterator[Queries]:
    made = Queries(connect, server)
    yield made
    for task in made.tasks.values():
        task.cancel()
    await asyncio.gather(*made.tasks.values(), return_exceptions=True)


async def still_runs(queries: Queries, connection: asyncpg.Connection) -> bool:
    return not queries.tasks[backend(connection)].done()


async def test_plan_lists_long_queries_oldest_first_without_their_text(queries, scope) -> None:
    older = await queries.run(SLEEP)
    younger = await queries.run("WITH a AS (SELECT 'bob') SELECT pg_sleep(60) FROM a", "batch", "shop-batch")
    await asyncio.sleep(3.1)
    await queries.run(SLEEP)  # not old enough
    plan = await plan_of(scope(older_than="3s"))
    assert pids(plan) == [backend(older), backend(younger)]
    assert (plan.found, plan.empty_reason) == (2, "")
    assert plan.evidence == {"may_signal": True, "left_out": {}, "blockers": []}
    evidence = dict(plan.items[0].evidence)
    assert 3 <= evidence.pop("running_seconds") < 60
    assert evidence == {
        "role": "shop",
        "application": "shop-api",
        "client_address": "127.0.0.1",
        "waits_for": "Timeout",
        "blocks_sessions": 0,
        "command": "SELECT",
    }
    assert plan.items[1].evidence["command"] == "WITH"
    assert "alice" not in repr(plan)
    assert "bob" not in repr(plan)
    assert set(plan.items[0].identity) == {"pid", "backend_start", "query_start"}


async def test_nothing_is_planned_without_a_long_query(connect, scope) -> None:
    idle = await connect()
    await idle.execute("BEGIN; SELECT 1")
    await wait_until_old()
    plan = await plan_of(scope())
    assert (plan.items, plan.found, plan.empty_reason) == ((), 0, "")


async def test_operator_sets_the_age_for_one_run(queries, scope) -> None:
    session = await queries.run(SLEEP)
    await wait_until_old()
    by_inventory = scope(older_than="1h")
    assert (await plan_of(by_inventory)).items == ()
    assert pids(await plan_of(replace(by_inventory, parameters={"older_than": timedelta(seconds=1)}))) == [
        backend(session)
    ]


async def test_exactly_the_planned_queries_are_cancelled_and_their_sessions_stay(queries, scope) -> None:
    guilty = await queries.run(SLEEP)
    await wait_until_old()
    plan = await plan_of(scope())
    younger = await queries.run(SLEEP)
    assert await apply(scope(), *plan.items) == [(ItemState.APPLIED, "cancelled")]
    assert await queries.was_cancelled(guilty)
    assert await still_runs(queries, younger)
    async with open_session(scope(older_than=timedelta(minutes=1))) as session:
        verdict = await session.verify(plan.items)
    assert (verdict.clean, verdict.evidence) == (True, {"found": 0, "applied": 1, "applied_still_running": 0})


async def test_running_query_of_the_run_is_no_success(queries, scope) -> None:
    await queries.run(SLEEP)
    await wait_until_old()
    plan = await plan_of(scope())
    async with open_session(scope()) as session:
        verdict = await session.verify(plan.items)
        [outcome] = await session.resolve_outcome(plan.items)
    assert not verdict.clean
    assert outcome.state is ItemState.NOT_APPLIED


async def test_query_that_has_ended_is_looked_up_as_applied(queries, scope, server) -> None:
    session = await queries.run(SLEEP)
    await wait_until_old()
    plan = await plan_of(scope())
    server.sql(f"SELECT pg_cancel_backend({backend(session)})")
    async with open_session(scope()) as opened:
        [outcome] = await opened.resolve_outcome(plan.items)
    assert outcome.state is ItemState.APPLIED
    assert await apply(scope(), *plan.items) == [(ItemState.SKIPPED, "had already ended")]


async def test_outcome_is_unknown_while_the_cancelling_statement_runs(queries, connect, scope, monkeypatch) -> None:
    monkeypatch.setattr("remediator.remediations.cancel_long_queries.OUTCOME_READINGS", 2)
    await queries.run(SLEEP)
    await wait_until_old()
    plan = await plan_of(scope())
    lost = await connect("remediator", "runbook-remediator:17")
    statement = asyncio.create_task(lost.execute("SELECT pg_sleep(60)"))
    await wait_until_active(connect, "runbook-remediator:17")
    async with open_session(scope()) as session:
        [outcome] = await session.resolve_outcome(plan.items)
    statement.cancel()
    assert outcome.state is ItemState.UNKNOWN


@pytest.mark.parametrize("terminate", [False, True])
async def test_session_is_ended_only_if_its_query_ignores_the_cancellation(
    queries, scope, server, monkeypatch, terminate: bool
) -> None:
    server.sql(STUBBORN)
    polite, stubborn = await queries.run(SLEEP), await queries.run("SELECT stubborn()")
    await wait_until_old()
    plan = await plan_of(scope())
    assert await apply(scope(terminate=terminate), plan.items[0]) == [(ItemState.APPLIED, "cancelled")]
    assert await queries.was_cancelled(polite)
    monkeypatch.setattr("remediator.remediations.cancel_long_queries.CANCEL_SECONDS", 0.5)
    [outcome] = await apply(scope(terminate=terminate), plan.items[1])
    if terminate:
        assert outcome == (ItemState.APPLIED, "its session was ended")
        with pytest.raises(asyncpg.ConnectionDoesNotExistError, match="terminating connection"):
            await queries.tasks[backend(stubborn)]
    else:
        assert outcome[0] is ItemState.FAILED
        assert "still running after 0 s; end its session by hand, or set terminate: true" in outcome[1]
        assert await still_runs(queries, stubborn)


async def test_next_query_of_the_session_is_not_cancelled(queries, scope, server) -> None:
    session = await queries.run(SLEEP)
    await wait_until_old()
    plan = await plan_of(scope())
    server.sql(f"SELECT pg_cancel_backend({backend(session)})")
    assert await queries.was_cancelled(session)
    queries.tasks[backend(session)] = asyncio.create_task(session.execute(SLEEP))
    await wait_until_old()
    assert await apply(scope(), *plan.items) == [(ItemState.SKIPPED, "had already ended")]
    assert await still_runs(queries, session)


@pytest.mark.parametrize("key", ["backend_start", "query_start"])
async def test_query_with_another_start_by_one_microsecond_is_skipped(queries, scope, key: str) -> None:
    session = await queries.run(SLEEP)
    await wait_until_old()
    [item] = (await plan_of(scope())).items
    moment = datetime.fromisoformat(str(item.identity[key]))
    other = replace(item, identity={**item.identity, key: (moment + timedelta(microseconds=1)).isoformat()})
    [(state, _)] = await apply(scope(), other)
    assert state is ItemState.SKIPPED
    assert await still_runs(queries, session)


async def test_query_protected_since_the_plan_is_not_cancelled(queries, scope) -> None:
    session = await queries.run(SLEEP)
    await wait_until_old()
    plan = await plan_of(scope())
    [(state, detail)] = await apply(scope(protect={"roles": ["shop"]}), *plan.items)
    assert (state, detail) == (ItemState.SKIPPED, "is now protected, waiting, or no longer old enough")
    assert await still_runs(queries, session)


async def test_protected_session_is_never_planned(queries, scope, roles) -> None:
    kept = [
        await queries.run(SLEEP, "reporting"),
        await queries.run(SLEEP, "shop", "shop-migrate"),
        await queries.run(SLEEP, "shop", "pg_dump"),
        await queries.run(SLEEP, "shop", "/usr/local/bundle/bin/pg-online-schema-change"),
        await queries.run(SLEEP, "replicator"),
        await queries.run(SLEEP, "owner"),  # a superuser
    ]
    elsewhere = await queries.run(SLEEP, dsn=roles.dsn("shop", "postgres"))
    guilty = await queries.run(SLEEP)
    await wait_until_old()
    protecting = scope(protect={"roles": ["reporting"], "applications": ["shop-migrate"]})
    plan = await plan_of(protecting)
    assert pids(plan) == [backend(guilty)]
    assert plan.evidence["left_out"] == {"protected": len(kept)}
    await apply(protecting, *plan.items)
    assert all([await still_runs(queries, connection) for connection in [*kept, elsewhere]])


COPY_OUT = "COPY (SELECT pg_sleep(60)) TO STDOUT"
# As an index build holds it: a function, or a truncated text, may hide the command.
HIDDEN = """
    CREATE FUNCTION hidden() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        LOCK stock IN SHARE MODE;
        PERFORM pg_sleep(60);
    END $$"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (COPY_OUT, "maintenance"),
        (f"/* a report */ SELECT 1; {COPY_OUT}", "maintenance"),
        ("CREATE TABLE copied AS SELECT pg_sleep(60)::text AS slept", "maintenance"),
        ("-- SELECT\nALTER TABLE stock ADD pause text DEFAULT pg_sleep(60)::text", "maintenance"),
        ("SELECT pg_sleep(60) AS pg_backup_start FROM stock", "maintenance"),
        ("SELECT hidden()", "maintenance"),
        ("SELECT pg_sleep(60); CREATE INDEX ON stock (reserved)", "maintenance"),  # not begun yet
        ("DO 'BEGIN PERFORM pg_sleep(60); END'", "other_command"),
    ],
)
async def test_work_that_is_slow_by_nature_is_never_planned(queries, scope, server, text: str, reason: str) -> None:
    server.sql("ALTER TABLE stock OWNER TO shop")
    server.sql("GRANT CREATE ON SCHEMA public TO shop")
    server.sql(HIDDEN)
    session = await queries.run(text)
    await wait_until_old()
    plan = await plan_of(scope())
    assert (plan.items, plan.evidence["left_out"]) == ((), {reason: 1})
    assert plan.empty_reason == ("other_command" if reason == "other_command" else "")
    assert await still_runs(queries, session)


async def test_query_that_only_waits_is_left_alone_and_its_blocker_is_named(queries, connect, scope) -> None:
    holder = await connect("batch", "shop-batch")
    await holder.execute("BEGIN; UPDATE stock SET reserved = 1 WHERE sku = 1")
    between = await queries.run("UPDATE stock SET reserved = 2 WHERE sku IN (1, 2)")
    last = await queries.run("UPDATE stock SET reserved = 3 WHERE sku = 1")
    await wait_until_old()
    plan = await plan_of(scope())
    assert (plan.items, plan.evidence["left_out"], plan.empty_reason) == ((), {"waits_for_lock": 2}, "waits_for_lock")
    [blocker] = plan.evidence["blockers"]
    assert 1 <= blocker.pop("transaction_seconds") < 30
    assert blocker == {
        "pid": backend(holder),
        "role": "batch",
        "application": "shop-batch",
        "client_address": "127.0.0.1",
        "state": "idle in transaction",
    }
    assert all([await still_runs(queries, each) for each in (between, last)])


# Works until another session takes the lock 8, and then waits for the lock 7.
LATER = """
    CREATE FUNCTION later() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        WHILE pg_try_advisory_lock(8) LOOP
            PERFORM pg_advisory_unlock(8), pg_sleep(0.05);
        END LOOP;
        PERFORM pg_advisory_lock(7);
    END $$"""


async def test_query_that_has_begun_to_wait_is_skipped(queries, connect, scope, server) -> None:
    server.sql(LATER)
    holder = await connect()
    await holder.execute("SELECT pg_advisory_lock(7)")
    session = await queries.run("SELECT later()")
    await wait_until_old()
    plan = await plan_of(scope())
    assert len(plan.items) == 1
    await holder.execute("SELECT pg_advisory_lock(8)")
    await becomes(lambda: waiting(server), "1")
    [(state, _)] = await apply(scope(), *plan.items)
    assert state is ItemState.SKIPPED
    assert await still_runs(queries, session)


async def waiting(server: Any) -> str:
    here = "datname = current_database() AND wait_event_type = 'Lock'"
    return str(server.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {here}")).strip()


async def test_missing_right_to_signal_fails_with_the_remedy(queries, scope) -> None:
    session = await queries.run(SLEEP)
    await wait_until_old()
    plan = await plan_of(scope("watcher"))
    [(state, detail)] = await apply(scope("watcher"), *plan.items)
    assert plan.evidence["may_signal"] is False
    assert state is ItemState.FAILED
    assert "GRANT pg_signal_backend" in detail
    assert await still_runs(queries, session)


async def test_commit_that_waits_for_a_standby_is_never_cancelled(queries, scope, roles, server) -> None:
    """Cancelled, the commit reports success although the standby does not have it."""
    roles.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    roles.sql("SELECT pg_reload_conf()")
    try:
        session = await queries.run("SET synchronous_commit = on; UPDATE stock SET reserved = 5 WHERE sku = 5")
        await wait_until_old()
        plan = await plan_of(scope())
        assert (plan.items, plan.empty_reason) == ((), "waits_for_standby")
        assert await still_runs(queries, session)
    finally:
        roles.sql("ALTER SYSTEM RESET synchronous_standby_names")
        roles.sql("SELECT pg_reload_conf()")
