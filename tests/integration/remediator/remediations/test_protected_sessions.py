"""In any set of sessions, exactly those that the rules allow are planned; the rules are repeated here."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.model.remediation import Plan, Scope
from runbookd.inventory import RemediationSettings
from tests.examples import examples
from tests.integration.remediator.remediations.test_terminate_idle_transactions import (
    apply,
    backend,
    pids,
    plan_of,
    roles,
    scope,
    server,
    wait_until_old,
)

__all__ = ["roles", "scope", "server"]

PRIVILEGED = {"replicator", "owner"}  # may replicate; is a superuser
KNOWN = (
    *("pg_dump", "pg_restore", "pg_basebackup", "pgbackrest", "barman", "wal-g", "runbook", "pg_repack", "pgcopydb"),
    *("pgroll", "debezium", "peerdb", "airbyte", "flyway", "vacuumdb", "/usr/bin/pg-online-schema-change"),
)
NAMED = ["shop-migrate", "", "my pg_dump", "pgxdump", "pgbench"]  # protected where the inventory says so
NEVER = [  # as the tools themselves report their names
    *("PG_DUMP", "pg_restore", "pg_basebackup", "pgBackRest [backup]", "barman_receive", "wal-g", "vacuumdb"),
    *("runbook-exporter", "runbook-remediator:3", "pg_repack", "pgcopydb[312] clone --follow", "pgroll-state"),
    *("Debezium Streaming", "peerdb_orders", "Airbyte Debezium Streaming", "Flyway by Redgate"),
    "/usr/bin/pg-online-schema-change",
]


@dataclass(frozen=True)
class CatalogSession:
    """One session of a generated set; by default it may be ended."""

    role: str = "shop"
    application: str = "shop-api"
    state: str = "idle in transaction"
    old: bool = True
    here: bool = True

    def may_be_ended(self, roles: Sequence[str], applications: Sequence[str]) -> bool:
        """Apply the rules: idle in a transaction for long enough, in this database, and not protected."""
        beginnings = tuple(name[:-1] for name in applications if name.endswith("*"))
        by_name = self.application.lower().startswith((*KNOWN, *beginnings)) or self.application in applications
        protected = self.role in PRIVILEGED or self.role in roles or by_name
        return self.state == "idle in transaction" and self.old and self.here and not protected


# Most differ from one that may be ended in one thing or two: each rule alone is what saves some of them.
CHANGE = st.one_of(
    st.sampled_from(["batch", "reporting"]).map(lambda role: {"role": role}),
    st.sampled_from(sorted(PRIVILEGED)).map(lambda role: {"role": role}),
    st.sampled_from(NAMED).map(lambda application: {"application": application}),
    st.sampled_from(NEVER).map(lambda application: {"application": application}),
    st.sampled_from(["idle in transaction (aborted)", "active", "idle"]).map(lambda state: {"state": state}),
    st.sampled_from(["old", "here"]).map(lambda which: {which: False}),
)
FEW = st.lists(CHANGE, max_size=2).map(
    lambda changes: CatalogSession(**{key: some[key] for some in changes for key in some})
)
CATALOG = st.lists(FEW, min_size=16, max_size=24)
PROTECT = st.fixed_dictionaries(
    {
        "roles": st.lists(st.sampled_from(["batch", "reporting", "nobody"]), max_size=2),
        "applications": st.lists(st.sampled_from([*NAMED, "SHOP-API", "shop-m*"]), max_size=3),
    }
)


async def open_connection(dsn: Callable[[str], str], session: CatalogSession) -> asyncpg.Connection:
    """Open a real session in the given state."""
    connection = await asyncpg.connect(
        dsn(session.role), server_settings={"application_name": session.application}, timeout=60
    )
    if session.state != "idle":
        await connection.execute("BEGIN; SELECT 1")
    if session.state.endswith("(aborted)"):
        with suppress(asyncpg.DivisionByZeroError):
            await connection.execute("SELECT 1/0")
    return connection


@asynccontextmanager
async def catalog(
    server: Any, roles: Any, sessions: Sequence[CatalogSession]
) -> AsyncIterator[dict[int, CatalogSession]]:
    """Open all sessions, by process id; the old ones are old enough when the young ones begin."""
    connections: list[asyncpg.Connection] = []
    sessions_by_pid, active = {}, []

    async def begin(old: bool) -> None:
        for session in (each for each in sessions if each.old is old):
            dsn = server.dsn if session.here else lambda role: roles.dsn(role, "postgres")
            connection = await open_connection(dsn, session)
            connections.append(connection)
            sessions_by_pid[backend(connection)] = session
            if session.state == "active":
                active.append(asyncio.create_task(connection.execute("SELECT pg_sleep(60)")))

    try:
        await begin(old=True)
        await wait_until_old()
        await begin(old=False)
        yield sessions_by_pid
    finally:
        for connection in connections:
            connection.terminate()
        await asyncio.gather(*active, return_exceptions=True)


async def plan_or_fail(scope: Scope) -> Plan:
    try:
        return await plan_of(scope)
    except AttributeError as error:  # it has moments of a transaction to tell, and there is none
        pytest.fail(f"a session without a transaction was planned: {error}")


def with_protection(scope: Scope, protect: dict[str, list[str]]) -> Scope:
    remediation_settings = RemediationSettings.model_validate({"older_than": "1s", "protect": protect})
    return Scope(scope.stack, scope.target, remediation_settings, scope.run)


@given(sessions=CATALOG, protects=st.lists(PROTECT, min_size=3, max_size=3))
@settings(
    max_examples=examples(4),
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_plan_lists_exactly_the_sessions_that_the_rules_allow(
    server: Any, roles: Any, scope: Any, sessions: list[CatalogSession], protects: list[Any]
) -> None:
    """Invariant 19."""
    async with catalog(server, roles, sessions) as found:
        for protect in protects:
            plan = await plan_or_fail(with_protection(scope(), protect))
            allowed = {pid for pid, each in found.items() if each.may_be_ended(**protect)}
            assert set(pids(plan)) == allowed
            assert plan.found == len(allowed)


async def test_replicating_session_is_never_planned(server: Any, roles: Any, scope: Any) -> None:
    """Invariant 19: a walsender of a logical subscriber may idle in a transaction, too."""
    roles.sql("ALTER ROLE replicator REPLICATION")
    connection = await asyncpg.connect(server.dsn("replicator"), server_settings={"replication": "database"})
    try:
        await connection.execute("BEGIN")
        await connection.execute("SELECT 1")
        roles.sql("ALTER ROLE replicator NOREPLICATION")
        await wait_until_old()
        assert (await plan_or_fail(scope())).found == 0
        assert await backend_state(roles, backend(connection)) == "walsender idle in transaction"
    finally:
        roles.sql("ALTER ROLE replicator REPLICATION")
        connection.terminate()


async def backend_state(roles: Any, pid: int) -> str:
    row = roles.sql(f"SELECT backend_type || ' ' || state FROM pg_stat_activity WHERE pid = {pid}")
    return str(row).strip()


async def test_session_protected_since_the_plan_is_not_ended(server: Any, roles: Any, scope: Any) -> None:
    """Invariant 19: the acting statement checks all rules again."""
    guilty, other = CatalogSession(), CatalogSession(role="batch")
    async with catalog(server, roles, [guilty, other]) as found:
        plan = await plan_of(scope())
        assert len(plan.items) == 2
        acting = with_protection(scope(), {"roles": ["batch"], "applications": []})
        ended = {pids(plan)[place]: state for place, (state, _) in enumerate(await apply(acting, *plan.items))}
    assert {found[pid].role: str(state) for pid, state in ended.items()} == {"shop": "applied", "batch": "skipped"}
