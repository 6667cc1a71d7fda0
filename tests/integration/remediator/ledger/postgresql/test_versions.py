"""The ledger on the oldest and newest servers at hand; all other tests run on Debian's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.servers.postgres import PostgresServer
from remediator.context import Context
from remediator.ledger import audit
from remediator.model.run_state import RunState
from tests.ledgers import TEMPLATE, leading, ledger_of, make_template
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, ManualClock, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation


@pytest.fixture
def in_postgresql() -> None:
    """Use none of the folder's databases."""


@pytest.fixture(params=["postgres16", "postgres18"])
def server(request: pytest.FixtureRequest) -> PostgresServer:
    return request.getfixturevalue(request.param)


async def test_run_is_admitted_proven_and_cut_from_the_trail(server: PostgresServer, folder: Path) -> None:
    databases = await make_template(server)
    try:
        async with ledger_of(databases.url(TEMPLATE)).open() as replica, leading(replica) as ledger:
            async with ledger.write() as connection:
                await audit.append(connection, datetime.now(UTC) - timedelta(days=900), "old")
                await audit.append(connection, datetime.now(UTC), "new")
                assert await ledger.cut_trail(connection, datetime.now(UTC)) == 1
            async with ledger.read() as connection:
                assert await first_break(connection) is None
            files, clock = FolderRemediation(folder), ManualClock()
            context = Context(inventory(), ledger, clock, {"clear_folder": files.remediation()}, None)
            harness = EngineHarness(context, files, clock)
            files.fill("a")
            await harness.deliver()
            await harness.work()
            assert (await harness.last_run()).state is RunState.SUCCEEDED
    finally:
        server.drop_database(TEMPLATE)
