"""A server that crashes during a commit may give the number of the lost transaction to another one."""

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from demo.servers.postgres import PostgresServer
from demo.servers.proc import descendants
from remediator.ledger import audit
from remediator.ledger.postgresql import doubt
from remediator.ledger.postgresql.doubt import CommitInDoubt
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.model.errors import LedgerUnavailable
from runbookd.addresses.postgres import read_postgres_address
from tests.ledgers import SETTINGS, TEMPLATE, make_template
from tests.unit.remediator.conftest import START

HISTORY = f"SELECT {doubt.HISTORY}"


@pytest.fixture
def server(servers_folder: Path) -> Iterator[PostgresServer]:
    """Run a server that writes no row of a transaction before its commit: else its number is not given again."""
    server = PostgresServer(servers_folder / "crashing", settings={**SETTINGS, "wal_writer_delay": "10s"})
    server.start()
    yield server
    server.remove()


def fill_disk(server: PostgresServer) -> None:
    """Let no session write its next page of the WAL, as on a full disk; the server itself can still recover."""
    assert server.process.identity is not None
    for each in descendants(server.process.identity):
        resource.prlimit(each.pid, resource.RLIMIT_FSIZE, (8_192, resource.RLIM_INFINITY))


async def outcome_on_a_full_disk(ledger: PostgresLedger, server: PostgresServer, numbers: list[str]) -> str:
    """Write a row of the trail whose commit meets a full disk; note the number of its transaction."""
    try:
        async with ledger.write() as connection:
            numbers.append((await connection.execute(text("SELECT pg_current_xact_id()::text"))).scalar_one())
            await audit.append(connection, START, "lost")
            fill_disk(server)
    except LedgerUnavailable as error:
        return type(error).__name__
    return "committed"


def test_crash_begins_another_history_and_a_restart_does_not(server: PostgresServer) -> None:
    before = server.sql(HISTORY)
    server.stop()
    server.start()
    assert server.sql(HISTORY) == before
    os.kill(int(server.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")), signal.SIGKILL)
    server.process.wait_until(lambda: server.answers() and server.sql(HISTORY) != before)


async def test_number_that_a_crash_gives_again_is_not_believed(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 53: the commit ends the server, and the next transaction gets its number and is committed."""
    await make_template(server)
    other = PostgresLedger(read_postgres_address(server.dsn("runbookd_writer", TEMPLATE)))
    was_committed = doubt.was_committed

    async def commit_others_first(*arguments: object) -> bool:
        await asyncio.to_thread(server.wait)
        async with other.open():
            for number in range(5):
                await other.accept(START, str(number).encode())
        return await was_committed(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("remediator.ledger.postgresql.transactions.was_committed", commit_others_first)
    numbers: list[str] = []
    async with PostgresLedger(other.address).open() as ledger:
        assert await outcome_on_a_full_disk(ledger, server, numbers) == CommitInDoubt.__name__
        async with ledger.read() as connection:
            assert await audit.head(connection) == audit.GENESIS
            status = text("SELECT pg_xact_status((:number)::text::xid8)")
            outcome = (await connection.execute(status, {"number": numbers[0]})).scalar_one()
    assert outcome == "committed", "of another transaction"
