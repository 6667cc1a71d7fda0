"""A ledger on the server of a target is refused, unless the inventory allows it."""

from pathlib import Path

import pytest

from demo.servers.postgres import PostgresServer
from remediator.ledger.address import ledger_at
from remediator.ledger.protocol import ServerIdentity
from remediator.ledger_placement import placement_problems
from runbookd.inventory import Inventory
from tests.ledgers import LedgerDatabases, ledger_of


def inventory(dsn: str, *, same_server: bool = False, **more: str) -> Inventory:
    target = {"dsn": dsn, **more}
    content = {"ledger": {"same_server": same_server}, "stacks": {"shop": {"postgres": {"main": target}}}}
    return Inventory.model_validate(content)


@pytest.fixture
def url(ledger_databases: LedgerDatabases):
    name = ledger_databases.add()
    yield ledger_databases.url(name)
    ledger_databases.server.drop_database(name)


async def test_target_in_the_cluster_of_the_ledger_is_refused(url: str, ledger_databases: LedgerDatabases) -> None:
    dsn = ledger_databases.server.dsn()
    named_otherwise = dsn.replace("127.0.0.1", "localhost")
    async with ledger_of(url).open() as ledger:
        for target in (dsn, named_otherwise):
            [problem] = await placement_problems(ledger, inventory(target))
            assert problem == (
                "stacks.shop.postgres.main is on the ledger's server, and an outage would take both; move the ledger to"
                " another server, or set ledger: {same_server: true}"
            )
        [problem] = await placement_problems(ledger, inventory("postgresql://db/shop", admin_dsn=dsn))
        assert problem.startswith("stacks.shop.postgres.main ")
        assert await placement_problems(ledger, inventory(dsn, same_server=True)) == []


async def test_target_in_another_cluster_is_allowed(url: str, postgres16: PostgresServer) -> None:
    async with ledger_of(url).open() as ledger:
        assert await placement_problems(ledger, inventory(postgres16.dsn())) == []


async def test_target_that_does_not_answer_is_judged_by_its_address(url: str) -> None:
    async with ledger_of(url).open() as ledger:
        place = ledger.address.hosts
        assert await placement_problems(ledger, inventory("postgresql://db.invalid/shop")) == []
        assert await placement_problems(ledger, inventory(f"postgresql://nobody:x@{place}/no_such_database")) != []


async def test_ledger_in_a_file_may_be_beside_any_target(tmp_path: Path, ledger_databases: LedgerDatabases) -> None:
    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        assert await placement_problems(ledger, inventory(ledger_databases.server.dsn())) == []


def test_identifier_wins_over_the_address() -> None:
    """Two clusters may have one address in turn, and one cluster several addresses."""
    assert not ServerIdentity("db:5432", "1").is_same(ServerIdentity("db:5432", "2"))
    assert ServerIdentity("db:5432", "1").is_same(ServerIdentity("10.0.0.1:5432", "1"))
    assert ServerIdentity("db:5432").is_same(ServerIdentity("db:5432", "2"))
