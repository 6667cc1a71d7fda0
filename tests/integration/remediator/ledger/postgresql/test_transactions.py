"""Transactions that conflict, wait too long, are cancelled, or find a server without memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit, deliveries
from remediator.ledger.postgresql import transactions
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.schema import audit as trail
from remediator.ledger.schema import storm
from remediator.model.errors import LedgerUnavailable
from tests.ledgers import ledger_in

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[PostgresLedger]:
    async with ledger_in(tmp_path).open() as opened:
        assert isinstance(opened, PostgresLedger)
        yield opened


async def events(connection: AsyncConnection) -> list[str]:
    return list((await connection.execute(select(trail.c.event).order_by(trail.c.id))).scalars())


async def test_second_writer_waits_for_the_first_and_sees_its_rows(ledger: PostgresLedger) -> None:
    """Invariant 37: not through the queue of one process, but through the database."""
    begun, seen = asyncio.Event(), list[str]()

    async def second() -> None:
        await begun.wait()
        async with ledger._transactions.locked() as connection:
            seen.extend(await events(connection))

    waiting = asyncio.create_task(second())
    async with ledger._transactions.locked() as connection:
        begun.set()
        await asyncio.sleep(0.2)
        audit.begin(connection)
        await audit.append(connection, NOW, "first")
    await waiting
    assert seen == ["first"]


async def test_reader_sees_one_snapshot_and_waits_for_nobody(ledger: PostgresLedger) -> None:
    async with ledger.read() as reader:
        assert await events(reader) == []
        async with ledger.write() as connection:
            await audit.append(connection, NOW, "test")
            assert await events(reader) == []
        assert await events(reader) == []


async def test_reader_cannot_write(ledger: PostgresLedger) -> None:
    with pytest.raises(LedgerUnavailable, match="read-only transaction"):
        async with ledger.read() as connection:
            await connection.execute(insert(storm).values(seen_at=NOW, detail=""))


async def test_lock_that_is_not_free_in_time_is_retried_and_named(
    ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = transactions._LIMITS.replace("'5000'", "'50'", 1)
    monkeypatch.setattr(transactions, "_SET_LIMITS_AND_LOCK", text(f"{impatient}, {transactions.LOCK}"))
    retried: list[str] = []
    monkeypatch.setattr(transactions, "log", SimpleNamespace(info=lambda *_, reason: retried.append(reason)))
    async with ledger._transactions.locked():
        with pytest.raises(LedgerUnavailable, match="another session holds the ledger's lock; work resumes"):
            async with ledger._transactions.locked():
                pass
    assert len(retried) == transactions.ATTEMPTS - 1


async def test_overload_is_not_retried_and_named(ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 37: a server without memory gets no second try at once."""
    attempts: list[int] = []
    fail = text("DO $$ BEGIN RAISE EXCEPTION 'out of shared memory' USING ERRCODE = '53200'; END $$")

    async def begin(_history: str, _premises: transactions.Premises, connection: AsyncConnection) -> None:
        attempts.append(1)
        await connection.execute(fail)

    monkeypatch.setattr(transactions, "_begin_locked", begin)
    with pytest.raises(LedgerUnavailable, match="out of shared memory; the server is overloaded"):
        async with ledger.write():
            pass
    assert len(attempts) == 1


async def test_cancelled_transaction_leaves_neither_rows_nor_a_lock(ledger: PostgresLedger) -> None:
    begun = asyncio.Event()

    async def write() -> None:
        async with ledger.write() as connection:
            await audit.append(connection, NOW, "cancelled")
            begun.set()
            await connection.execute(text("SELECT pg_sleep(600)"))

    task = asyncio.create_task(write())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    async with asyncio.timeout(60), ledger.write() as connection:
        assert await events(connection) == []


async def test_cancellation_at_the_commit_does_not_undo_it(ledger: PostgresLedger) -> None:
    async def write() -> None:
        async with ledger.write() as connection:
            await audit.append(connection, NOW, "test")
            asyncio.get_running_loop().call_soon(task.cancel)

    task = asyncio.create_task(write())
    await asyncio.wait([task])
    assert task.cancelled()
    async with ledger.read() as connection:
        assert await events(connection) == ["test"]


async def test_deliveries_of_a_moment_share_commits_and_outlive_a_cancelled_one(ledger: PostgresLedger) -> None:
    """Invariant 1."""
    tasks = [asyncio.create_task(ledger.accept(NOW, b"%d" % number)) for number in range(300)]
    await asyncio.sleep(0)
    tasks[7].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each for each in answers if each is not None and not isinstance(each, asyncio.CancelledError)] == []
    async with ledger.read() as connection:
        stored = {each.body for each in await deliveries.unprocessed(connection, 1_000)}
        commits = (await connection.execute(text("SELECT count(DISTINCT xmin::text) FROM delivery"))).scalar_one()
    assert stored >= {b"%d" % number for number in range(300) if number != 7}
    assert commits <= 4


async def test_delivery_stored_after_a_later_one_is_not_taken_for_processed(ledger: PostgresLedger) -> None:
    """Invariant 1: numbers are given before the commit, so another replica may store an earlier one later."""
    other = await asyncpg.connect(ledger.address.driver_url)
    try:
        async with other.transaction():
            await other.execute("INSERT INTO delivery (received_at, body) VALUES (0, 'late')")
            await ledger.accept(NOW, b"early")
            async with ledger.read() as connection:
                batch = await deliveries.unprocessed(connection, 10)
        assert [each.body for each in batch] == [b"early"]
        async with ledger.write() as connection:
            await deliveries.mark_processed(connection, batch, NOW)
        async with ledger.read() as connection:
            assert [each.body for each in await deliveries.unprocessed(connection, 10)] == [b"late"]
    finally:
        await other.close()
