"""The permanent fixes in SQL, applied to a real PostgreSQL: the same fault again leaves nothing to repair."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from demo.servers.postgres import PostgresServer
from remediator.model.permanent_fix import Cause
from remediator.model.remediation import Item, Plan, Scope
from remediator.remediations import REMEDIATIONS
from tests.integration.remediator.remediations.steps import FLUSH, Steps
from tests.unit.remediator.polling import becomes

GRANTS = Path(__file__).parents[4] / "deploy" / "postgres"
ROLES = ("remediator", "owner", "billing")
# Each tries to end its quotes, or hides what it is.
HOSTILE = (
    'bill"ing',
    'x"; DROP TABLE orders; --',
    "o'brien",
    "back\\slash",
    "line\nbreak",
    "\u202eabc",
    "Größe",
    "user",
)


@pytest.fixture
def roles(database: Any) -> Iterator[Any]:
    for role in ROLES:
        database.server.add_role(role)
    database.sql((GRANTS / "remediator.sql").read_text())
    database.sql("GRANT CREATE ON SCHEMA public TO owner")
    database.sql("\\set owner owner\n\\set schema public\n" + (GRANTS / "maintain_tables.sql").read_text())
    yield database
    database.sql("DROP OWNED BY owner, billing, remediator CASCADE")
    for role in ROLES:
        database.server.sql(f"DROP ROLE {role}")


@pytest.fixture
def scope(roles: Any, scope_of: Any) -> Scope:
    stack = {"postgres": {"main": {"dsn": roles.dsn("billing"), "admin_dsn": roles.dsn("remediator")}}}
    made: Scope = scope_of("postgres", stack=stack, mode="approve", older_than="1s")
    return made


@pytest.fixture
async def connect(roles: Any) -> AsyncIterator[Any]:
    made: list[asyncpg.Connection] = []

    async def connect() -> asyncpg.Connection:
        made.append(await asyncpg.connect(roles.dsn("billing"), server_settings={"application_name": "invoices"}))
        return made[-1]

    yield connect
    for connection in made:
        connection.terminate()


@pytest.fixture
def frequent_autovacuum(postgres_server: PostgresServer) -> Iterator[None]:
    """Let autovacuum look every second instead of every minute."""
    postgres_server.sql("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    postgres_server.sql("SELECT pg_reload_conf()")
    yield
    postgres_server.sql("ALTER SYSTEM RESET autovacuum_naptime")
    postgres_server.sql("SELECT pg_reload_conf()")


async def planned(steps: Steps, scope: Scope) -> Plan:
    """Plan once there is something to repair."""

    async def is_found() -> bool:
        return bool((await steps.plan_of(scope)).items)

    await becomes(is_found, True)
    return await steps.plan_of(scope)


async def test_server_itself_ends_idle_transactions_of_the_role(roles, scope, connect) -> None:
    steps = Steps("terminate_idle_transactions")

    async def idle() -> asyncpg.Connection:
        connection = await connect()
        await connection.execute("BEGIN")
        return connection

    former = await idle()
    plan = await planned(steps, scope)
    fix = steps.fix_of(scope, *plan.items)
    assert fix.snippet == "ALTER ROLE \"billing\" SET idle_in_transaction_session_timeout = '1s';"
    roles.sql(fix.snippet)
    await former.close()
    connection = await idle()

    async def is_ended() -> bool:
        return connection.is_closed()

    await becomes(is_ended, True)
    assert (await steps.plan_of(scope)).found == 0


async def test_server_itself_cancels_long_queries_of_the_role(roles, scope, connect) -> None:
    steps = Steps("cancel_long_queries")
    former = asyncio.create_task((await connect()).fetchval("SELECT pg_sleep(20)"))
    plan = await planned(steps, scope)
    fix = steps.fix_of(scope, *plan.items)
    assert fix.snippet == "ALTER ROLE \"billing\" SET statement_timeout = '1s';"
    roles.sql(fix.snippet)
    former.cancel()
    with suppress(asyncio.CancelledError):
        await former
    with pytest.raises(asyncpg.QueryCanceledError, match="statement timeout"):
        await (await connect()).fetchval("SELECT pg_sleep(20)")
    assert (await steps.plan_of(scope)).found == 0


@pytest.mark.parametrize("name", ["vacuum_tables", "analyze_tables"])
async def test_autovacuum_takes_the_table_before_the_remediation(roles, scope, frequent_autovacuum, name) -> None:
    steps, verb = Steps(name), name.partition("_")[0]
    roles.sql(
        "CREATE TABLE orders (id int) WITH (autovacuum_enabled = false);"
        f"INSERT INTO orders SELECT generate_series(1, 300); {FLUSH}",
        role="owner",
    )
    roles.sql("VACUUM ANALYZE orders", role="owner")  # after the counts of the insert have arrived
    roles.sql(f"DELETE FROM orders WHERE id <= 40; {FLUSH}", role="owner")
    plan = await planned(steps, scope)
    fix = steps.fix_of(scope, *plan.items)
    assert fix.snippet == (
        f'ALTER TABLE "public"."orders" SET (autovacuum_enabled = true, autovacuum_{verb}_scale_factor = 0,'
        f" autovacuum_{verb}_threshold = 20);"
    )
    await asyncio.sleep(1.5)  # autovacuum has looked, and left the table alone
    assert (await steps.plan_of(scope)).found == 1
    roles.sql(fix.snippet, role="owner")

    async def found() -> int:
        return (await steps.plan_of(scope)).found

    await becomes(found, 0)
    roles.sql("DELETE FROM orders WHERE id <= 80", role="owner")
    await asyncio.sleep(0)
    await becomes(found, 0)


def test_names_of_others_are_quoted(database, scope_of) -> None:
    scope = scope_of("postgres", stack={"postgres": {"main": {"dsn": "postgresql://db/shop"}}})
    writes = [REMEDIATIONS[name].permanent_fix.write for name in ("terminate_idle_transactions", "cancel_long_queries")]
    database.sql("CREATE TABLE orders (id int)")
    for name in HOSTILE:
        name_literal = "E'" + name.replace("\\", "\\\\").replace("'", "''") + "'"
        creations = ("CREATE ROLE %1$I", "CREATE SCHEMA %1$I", "CREATE TABLE %1$I.%1$I (id int)")
        database.sql("".join(f"SELECT format('{each}', {name_literal}) \\gexec\n" for each in creations))
        item = Item({"oid": 1}, {"schema": name, "table": name, "dead": 9})
        texts = [write(scope, [Cause({"role": name}, 1)]).snippet for write in writes]
        try:
            database.sql("\n".join([*texts, Steps("vacuum_tables").fix_of(scope, item).snippet]))
            role = f"(SELECT oid FROM pg_roles WHERE rolname = {name_literal})"
            settings = database.sql(f"SELECT setconfig FROM pg_db_role_setting WHERE setrole = {role}")
            assert settings == "{idle_in_transaction_session_timeout=60s,statement_timeout=300s}"
            options = database.sql(f"SELECT reloptions FROM pg_class WHERE relname = {name_literal}")
            assert "autovacuum_vacuum_threshold=4" in options
        finally:
            database.sql(f"SELECT format('DROP ROLE %I', {name_literal}) \\gexec")
    assert database.sql("SELECT count(*) FROM orders") == "0"
