"""Of the replicas that use a ledger one leads: its lease, its term, and what happens to one that has lost them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from remediator.ledger import audit, deliveries
from remediator.ledger.address import postgres_address
from remediator.ledger.postgresql.leader import PostgresLeader
from remediator.ledger.postgresql.lease import Candidate, Term
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.postgresql.transactions import Fenced
from remediator.ledger.protocol import Ledger
from remediator.ledger.schema import audit as trail
from remediator.model.errors import LedgerUnavailable
from tests.ledgers import LedgerDatabases, leading, ledger_url
from tests.unit.remediator.polling import becomes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = timedelta(seconds=3)  # renewed in time by a busy machine, too
SHORT = timedelta(seconds=0.6)  # where it is to end


def ledger_with_lease(folder: Path, ttl: timedelta = LONG) -> PostgresLedger:
    address = postgres_address(ledger_url(folder))
    assert address is not None
    return PostgresLedger(address, ttl)


@asynccontextmanager
async def leader_with_lease(folder: Path, ttl: timedelta = LONG) -> AsyncIterator[PostgresLeader]:
    async with asyncio.timeout(60), ledger_with_lease(folder, ttl).open() as ledger, leading(ledger) as leader:
        assert isinstance(leader, PostgresLeader)
        yield leader


async def write(ledger: Ledger, event: str = "test") -> None:
    async with ledger.write() as connection:
        await audit.append(connection, NOW, event)


async def events(ledger: Ledger) -> list[str]:
    async with ledger.read() as connection:
        return list((await connection.execute(select(trail.c.event).order_by(trail.c.id))).scalars())


async def test_second_process_does_not_lead_while_the_first_renews_but_accepts_and_writes(tmp_path: Path) -> None:
    """Invariant 36."""
    async with leader_with_lease(tmp_path) as first, ledger_with_lease(tmp_path).open() as second:
        for _ in range(15):
            async with second.lead() as leader:
                assert leader is None
            await asyncio.sleep(LONG.total_seconds() / 12)
        await second.accept(NOW, b"body")
        await write(second, "by an operator")
        await write(first, "by the leader")
        assert await events(second) == ["by an operator", "by the leader"]


async def test_of_three_that_are_elected_at_once_one_leads(tmp_path: Path) -> None:
    """Invariant 36."""
    leaders, all_decided = [], asyncio.Event()

    async def run() -> None:
        async with ledger_with_lease(tmp_path).open() as ledger, ledger.lead() as leader:
            leaders.append(leader)
            if len(leaders) == 3:
                all_decided.set()
            await all_decided.wait()

    async with asyncio.timeout(60):
        await asyncio.gather(*(run() for _ in range(3)))
    assert sorted(leader is None for leader in leaders) == [False, True, True]


async def test_next_process_need_not_wait_for_one_that_stopped(tmp_path: Path) -> None:
    for _ in range(2):
        async with asyncio.timeout(60), leader_with_lease(tmp_path, timedelta(hours=1)) as leader:
            await write(leader)


async def test_lease_of_a_killed_process_ends_and_its_successor_has_a_higher_term(tmp_path: Path) -> None:
    """Invariant 36."""
    async with ledger_with_lease(tmp_path, SHORT).open() as killed:
        term = await killed._candidate.run_for_election()  # and never renews
        assert term is not None
        async with leader_with_lease(tmp_path) as leader:
            assert leader.term.fence.term == term.fence.term + 1
            await write(leader)


async def test_process_that_did_not_see_its_election_is_elected_again_in_a_higher_term(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 36: an election in doubt gives no term, and the term that it may have given is not continued."""
    async with ledger_with_lease(tmp_path, timedelta(hours=1)).open() as ledger:
        unseen = await ledger._candidate.run_for_election()
        assert unseen is not None
        async with asyncio.timeout(60), leading(ledger) as leader:
            assert leader.term.fence.term == unseen.fence.term + 1
            with pytest.raises(Fenced):
                await write(PostgresLeader(ledger, unseen))


async def test_lease_is_renewed_beyond_its_length(tmp_path: Path) -> None:
    async with leader_with_lease(tmp_path) as leader:
        until = leader.term.trusted_until
        await asyncio.sleep(1.2 * LONG.total_seconds())
        assert leader.is_trusted
        assert leader.term.trusted_until > until
        await write(leader)


async def test_process_that_stood_still_writes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 36: its lease has ended, another process was elected, and it wakes without knowing."""
    async with AsyncExitStack() as stack:
        stopped = await stack.enter_async_context(leader_with_lease(tmp_path, SHORT))
        await write(stopped, "before")
        monkeypatch.setattr(stopped.term, "renew", asyncio.Event().wait)  # as under SIGSTOP
        async with leader_with_lease(tmp_path) as other:
            await write(other, "by the other")
            assert not stopped.is_trusted
            with pytest.raises(Fenced, match="another remediator leads"):
                await write(stopped, "after")
            await asyncio.wait_for(stopped.wait_for_loss(), 10)
            await stopped.accept(NOW, b"body")  # a delivery is no act: the other process processes it
            async with other.read() as connection:
                assert await deliveries.count_unprocessed(connection) == 1
        assert await events(stopped) == ["before", "by the other"]


async def test_renewal_and_resignation_are_those_of_the_own_term(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    """Invariant 36: otherwise a process that stood still would prolong or end the lease of the next."""
    url = ledger_url(tmp_path)
    async with ledger_with_lease(tmp_path, SHORT).open() as ledger:
        former = await ledger._candidate.run_for_election()
        assert former is not None
        ledger_databases.sql(url, "UPDATE leader SET term = term + 1, expires_at = expires_at + 60000000")
        before = ledger_databases.sql(url, "SELECT expires_at, holder FROM leader")
        assert await former.renew() is False
        async with asyncio.timeout(30):
            await former.keep(_look)
        assert former.is_lost
        await Term(ledger._transactions, former.fence, SHORT, 0.0).resign()
        assert ledger_databases.sql(url, "SELECT expires_at, holder FROM leader") == before


async def test_lease_ends_that_nobody_renews_though_the_clock_of_the_database_was_set_back(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    """Invariant 36. A candidate counts by its own clock how long it has seen the lease unchanged."""
    hour_ahead = "extract(epoch FROM clock_timestamp())::bigint * 1000000 + 3600000000"
    async with ledger_with_lease(tmp_path, SHORT).open() as ledger:
        ledger_databases.sql(ledger_url(tmp_path), f"UPDATE leader SET holder = 'dead', expires_at = {hour_ahead}")
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(60), leading(ledger) as leader:
            assert asyncio.get_running_loop().time() - began >= SHORT.total_seconds()
            await write(leader)


async def test_former_leader_of_the_same_process_writes_nothing_after_it_has_resigned(tmp_path: Path) -> None:
    """Invariant 36: nobody else need be elected for that."""
    async with ledger_with_lease(tmp_path).open() as ledger:
        async with leading(ledger) as former:
            await write(former, "in its term")
        with pytest.raises(Fenced):
            await write(former, "after it")
        assert await events(ledger) == ["in its term"]


async def test_trust_ends_before_the_lease_and_is_counted_from_before_the_renewal(tmp_path: Path) -> None:
    """Invariant 36: a renewal that took long prolongs the trust by less."""
    async with ledger_with_lease(tmp_path, timedelta(seconds=10)).open() as ledger:
        term = Term(ledger._transactions, (await _elected(ledger._candidate)).fence, timedelta(seconds=10), -10.0)
        assert term.trusted_until == pytest.approx(-1.0)
        assert not term.is_trusted


async def _look() -> None:
    """See nothing new."""


async def _elected(candidate: Candidate) -> Term:
    term = await candidate.run_for_election()
    assert term is not None
    return term


async def test_lease_outlives_an_outage_of_the_server_in_which_nobody_else_is_elected(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    async with leader_with_lease(tmp_path, SHORT) as leader:
        name = ledger_url(tmp_path).rpartition("/")[2]
        clients = f"FROM pg_stat_activity WHERE datname = '{name}' AND backend_type = 'client backend'"
        kill = f"SELECT count(pg_terminate_backend(pid)) {clients}"
        ledger_databases.server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false; {kill}")
        try:
            with pytest.raises(LedgerUnavailable, match="not currently accepting connections"):
                await write(leader)
            await asyncio.sleep(2 * SHORT.total_seconds())
            assert not leader.is_trusted
        finally:
            ledger_databases.server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

        async def is_trusted() -> bool:
            return leader.is_trusted

        await becomes(is_trusted, True)
        await write(leader)


async def test_connections_that_the_server_has_closed_cost_no_transaction(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    async with leader_with_lease(tmp_path) as leader:
        await write(leader)
        name = ledger_url(tmp_path).rpartition("/")[2]
        kill = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
        ledger_databases.server.sql(kill)
        await asyncio.sleep(0.1)
        await write(leader)
        await leader.accept(NOW, b"body")
        assert await events(leader) == ["test", "test"]


async def test_closed_ledger_accepts_and_writes_nothing(tmp_path: Path) -> None:
    async with leader_with_lease(tmp_path) as leader:
        pass
    with pytest.raises(LedgerUnavailable, match="not open"):
        await leader.accept(NOW, b"body")
    with pytest.raises(LedgerUnavailable, match="not open"):
        await write(leader)
