"""analyze_tables on newer servers: from 17 on with the MAINTAIN privilege, which allows no reading."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from demo.servers.postgres import PostgresServer
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import ItemState, Scope
from remediator.remediations import REMEDIATIONS
from tests.integration.remediator.remediations.steps import FLUSH

GRANTS = Path(__file__).parents[4] / "deploy" / "postgres"
ROLES = ("remediator", "owner")
remediation = REMEDIATIONS["analyze_tables"]


@pytest.fixture(params=["postgres16", "postgres18"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[PostgresServer, str]]:
    made: PostgresServer = request.getfixturevalue(request.param)
    name = f"test_{uuid.uuid4().hex[:12]}"
    made.add_database(name)
    for role in ROLES:
        made.add_role(role)
    made.sql((GRANTS / "remediator.sql").read_text())
    made.sql("GRANT CREATE ON SCHEMA public TO owner", database=name)
    yield made, name
    made.drop_database(name)
    for role in ROLES:
        made.sql(f"DROP ROLE {role}")


def grant(server: tuple[PostgresServer, str]) -> None:
    made, name = server
    made.sql("\\set owner owner\n\\set schema public\n" + (GRANTS / "maintain_tables.sql").read_text(), database=name)


def change(server: tuple[PostgresServer, str], table: str) -> None:
    made, name = server
    statement = f"CREATE TABLE {table} (id int) WITH (autovacuum_enabled = false)"
    rows = f"INSERT INTO {table} SELECT generate_series(1, 5000)"
    made.sql(f"{statement}; {rows}; {FLUSH}", role="owner", database=name)


@pytest.fixture
def scope(server: tuple[PostgresServer, str], scope_of: Any) -> Callable[[], Scope]:
    made, name = server
    stack = {"postgres": {"main": {"dsn": made.dsn("owner", name), "admin_dsn": made.dsn("remediator", name)}}}
    return lambda: scope_of("postgres", stack=stack)


async def test_grant_allows_old_and_new_tables(server, scope) -> None:
    change(server, "orders")
    grant(server)
    change(server, "items")
    async with remediation.open(scope()) as session:
        plan = await session.plan()
        outcomes = [outcome.state for item in plan.items for outcome in await session.apply([item])]
        verdict = await session.verify(plan.items)
    assert {item.evidence["table"] for item in plan.items} == {"orders", "items"}
    assert outcomes == [ItemState.APPLIED] * 2
    assert verdict.clean


async def test_missing_grant_is_named(server, scope) -> None:
    change(server, "orders")
    async with remediation.open(scope()) as session:
        with pytest.raises(TargetUnreachable) as caught:
            await session.plan()
    right = "GRANT MAINTAIN on it" if "postgres18" in str(server[0].folder) else 'GRANT "owner" TO "remediator"'
    assert right in str(caught.value)


@pytest.mark.parametrize("server", ["postgres18"], indirect=True)
async def test_maintain_privilege_allows_no_reading(server, scope) -> None:
    change(server, "orders")
    grant(server)
    made, name = server
    remediator = await asyncpg.connect(made.dsn("remediator", name))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await remediator.fetch("SELECT * FROM orders")
    await remediator.close()
