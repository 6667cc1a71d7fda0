"""One process writes the ledger: its lease, its term, and what happens to a process that has lost them."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from remediator.ledger import audit, deliveries
from remediator.ledger.address import postgres_address
from remediator.ledger.postgresql.lease import Lease
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.protocol import Ledger
from remediator.ledger.schema import audit as trail
from remediator.model.errors import LedgerUnavailable
from tests.ledgers import LedgerDatabases, ledger_url
from tests.unit.remediator.polling import becomes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = timedelta(seconds=4)  # renewed in time by a busy machine, too
SHORT = timedelta(seconds=0.6)
TAKEN_OVER = "another remediator has taken it over"


def ledger_with_lease(folder: Path, ttl: timedelta = LONG) -> PostgresLedger:
    address = postgres_address(ledger_url(folder))
    assert address is not None
    return PostgresLedger(address, ttl)


async def write(ledger: Ledger, event: str = "test") -> None:
    async with ledger.write() as connection:
        await audit.append(connection, NOW, event)


async def events(ledger: Ledger) -> list[str]:
    async with ledger.read() as connection:
        return list((await connection.execute(select(trail.c.event).order_by(trail.c.id))).scalars())


async def open_error(ledger: Ledger) -> str:
    try:
        async with ledger.open():
            return "opened"
    except LedgerUnavailable as error:
        return str(error)


async def test_second_process_refuses_to_start_while_the_first_renews(tmp_path: Path) -> None:
    """Invariant 36."""
    async with ledger_with_lease(tmp_path).open() as first:
        error = await open_error(ledger_with_lease(tmp_path))
        assert error.startswith(f"another remediator ({first._lease.holder}) has the ledger since ")
        assert error.endswith("UTC; stop it: only one may act")
        await write(first)


async def test_of_three_that_start_at_once_one_opens_the_ledger(tmp_path: Path) -> None:
    """Invariant 36."""
    opened, errors, all_decided = [], [], asyncio.Event()

    async def start() -> None:
        try:
            async with ledger_with_lease(tmp_path).open() as ledger:
                opened.append(ledger)
                await all_decided.wait()
                await write(ledger)
        except LedgerUnavailable as error:
            errors.append(str(error))
        if len(errors) == 2:
            all_decided.set()

    async with asyncio.timeout(20):
        await asyncio.gather(*(start() for _ in range(3)))
    assert len(opened) == 1
    assert [error.startswith("another remediator") for error in errors] == [True, True]


async def test_next_process_need_not_wait_for_one_that_stopped(tmp_path: Path) -> None:
    for _ in range(2):
        async with asyncio.timeout(10), ledger_with_lease(tmp_path, timedelta(hours=1)).open() as ledger:
            await write(ledger)


async def test_lease_of_a_killed_process_ends_and_is_taken_over(tmp_path: Path) -> None:
    killed = ledger_with_lease(tmp_path, SHORT)
    await killed._lease.elect()  # and never renews
    async with ledger_with_lease(tmp_path).open() as ledger:
        assert ledger._lease.term.number == killed._lease.term.number + 1
        await write(ledger)
    await killed._engine.dispose()


async def test_lease_is_renewed_beyond_its_length(tmp_path: Path) -> None:
    ttl = timedelta(seconds=1.2)
    async with ledger_with_lease(tmp_path, ttl).open() as ledger:
        until = ledger._lease._trusted_until
        await asyncio.sleep(2 * ttl.total_seconds())
        assert ledger._lease.is_trusted
        assert ledger._lease._trusted_until > until
        await write(ledger)


async def test_process_that_stood_still_writes_nothing_more(tmp_path: Path) -> None:
    """Invariant 36: its lease has ended, another process was elected, and it wakes without knowing."""
    async with AsyncExitStack() as stack:
        stopped = await stack.enter_async_context(ledger_with_lease(tmp_path, SHORT).open())
        await write(stopped, "before")
        stopped._lease._renew = asyncio.Event().wait  # type: ignore[method-assign] # as under SIGSTOP
        async with ledger_with_lease(tmp_path).open() as other:
            await write(other, "by the other")
            with pytest.raises(LedgerUnavailable, match=TAKEN_OVER):
                await write(stopped, "after")
            await stopped.accept(NOW, b"body")  # a delivery is no act: the other process processes it
            async with other.read() as connection:
                assert await deliveries.count_unprocessed(connection) == 1
        assert await events(stopped) == ["before", "by the other"]


async def test_renewal_and_resignation_are_those_of_the_own_term(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    """Invariant 36: otherwise a process that stood still would prolong or end the lease of the next."""
    url = ledger_url(tmp_path)
    lost: list[str] = []
    async with ledger_with_lease(tmp_path, SHORT).open() as ledger:
        former = Lease(ledger._transactions, SHORT)
        former.term, former.holder = ledger._lease.term, ledger._lease.holder
        ledger_databases.sql(url, "UPDATE leader SET term = term + 1, expires_at = expires_at + 60000000")
        before = ledger_databases.sql(url, "SELECT expires_at, holder FROM leader")
        assert await former._renew() is False
        async with asyncio.timeout(10):
            await former.keep(lost.append)
        former.lost = None
        await former.resign()
        assert ledger_databases.sql(url, "SELECT expires_at, holder FROM leader") == before
    assert [TAKEN_OVER in each for each in lost] == [True]


async def test_lease_outlives_an_outage_of_the_server_in_which_nobody_else_is_elected(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    async with ledger_with_lease(tmp_path, SHORT).open() as ledger:
        name = ledger.address.database
        clients = f"FROM pg_stat_activity WHERE datname = '{name}' AND backend_type = 'client backend'"
        kill = f"SELECT count(pg_terminate_backend(pid)) {clients}"
        ledger_databases.server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false; {kill}")
        try:
            with pytest.raises(LedgerUnavailable, match="not currently accepting connections"):
                await write(ledger)
            await asyncio.sleep(2 * SHORT.total_seconds())
            assert not ledger._lease.is_trusted
        finally:
            ledger_databases.server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

        async def is_trusted() -> bool:
            return ledger._lease.is_trusted

        await becomes(is_trusted, True)
        await write(ledger)


async def test_connections_that_the_server_has_closed_cost_no_transaction(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    async with ledger_with_lease(tmp_path).open() as ledger:
        await write(ledger)
        name = ledger.address.database
        kill = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
        ledger_databases.server.sql(kill)
        await asyncio.sleep(0.1)
        await write(ledger)
        await ledger.accept(NOW, b"body")
        assert await events(ledger) == ["test", "test"]


async def test_closed_ledger_accepts_and_writes_nothing(tmp_path: Path) -> None:
    async with ledger_with_lease(tmp_path).open() as ledger:
        pass
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger.accept(NOW, b"body")
    with pytest.raises(LedgerUnavailable, match="not open"):
        await write(ledger)
