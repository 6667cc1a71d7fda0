"""Behind pgbouncer in transaction mode: no session of the server belongs to a process."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from demo.servers.pgbouncer import PgBouncerServer
from remediator.context import Context
from remediator.ledger.address import postgres_address
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.run_list import list_runs
from remediator.ledger.schema import audit as trail
from remediator.model.run_state import RunState
from tests.ledgers import LedgerDatabases, leading, ledger_url
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, ManualClock, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation


@pytest.fixture(scope="module")
def pooler(servers_folder: Path, ledger_databases: LedgerDatabases) -> Iterator[PgBouncerServer]:
    """Start a pooler with fewer connections than one process uses."""
    settings = {"default_pool_size": "3"}
    server = PgBouncerServer(servers_folder / "ledger_pgbouncer", ledger_databases.server, settings=settings)
    server.start()
    yield server
    server.remove()


def pooled_ledger(pooler: PgBouncerServer, folder: Path, ttl: timedelta = timedelta(seconds=4)) -> PostgresLedger:
    address = postgres_address(pooler.dsn("runbookd_writer", ledger_url(folder).rpartition("/")[2]))
    assert address is not None
    return PostgresLedger(address, ttl)


async def test_runs_are_admitted_and_proven_through_the_pooler(pooler: PgBouncerServer, folder: Path) -> None:
    """Invariants 36 and 37."""
    files, clock = FolderRemediation(folder), ManualClock()
    async with pooled_ledger(pooler, folder.parent).open() as replica, leading(replica) as ledger:
        context = Context(inventory(), ledger, clock, {"clear_folder": files.remediation()}, None)
        harness = EngineHarness(context, files, clock)
        files.fill("a")
        async with asyncio.TaskGroup() as tasks:  # many clients share three connections of the server
            for _ in range(20):
                tasks.create_task(harness.deliver())
        await harness.work()
        async with ledger.read() as connection:
            assert [run.state for run in (await list_runs(connection, limit=10)).runs] == [RunState.SUCCEEDED]
            assert await first_break(connection) is None
            prepared = await connection.execute(text("SELECT count(*) FROM pg_prepared_statements"))
            assert prepared.scalar_one() == 0
    assert files.touched == ["a"]


async def test_one_of_two_leads_through_the_pooler_until_it_gives_its_term_up(
    pooler: PgBouncerServer, tmp_path: Path
) -> None:
    """Invariant 36."""
    async with pooled_ledger(pooler, tmp_path).open() as first, pooled_ledger(pooler, tmp_path).open() as second:
        async with first.lead() as leader, second.lead() as other:
            assert leader is not None
            assert other is None
        async with second.lead() as next_leader:
            assert next_leader is not None


async def test_no_setting_and_no_lock_stays_in_a_shared_session(pooler: PgBouncerServer, tmp_path: Path) -> None:
    async with pooled_ledger(pooler, tmp_path).open() as ledger:
        async with ledger.write() as connection:
            await connection.execute(select(trail))
        async with ledger.read() as connection:
            locks = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
            assert (await connection.execute(locks)).scalar_one() == 0
            assert (await connection.execute(text("SHOW lock_timeout"))).scalar_one() == "0"
