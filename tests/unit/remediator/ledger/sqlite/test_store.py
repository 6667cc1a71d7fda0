"""The ledger keeps accepted deliveries despite cancellations, and refuses damaged files."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from remediator.ledger import audit, deliveries
from remediator.ledger.address import ledger_at
from remediator.ledger.protocol import Ledger
from remediator.ledger.schema import storm
from remediator.ledger.sqlite.delivery_writer import DeliveryWriter
from remediator.ledger.sqlite.store import SqliteLedger
from remediator.model.errors import LedgerUnavailable
from tests.unit.remediator.polling import becomes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(file: Path) -> AsyncIterator[Ledger]:
    async with ledger_at(f"sqlite:///{file}").open() as opened:
        yield opened


async def bodies(ledger: Ledger) -> list[bytes]:
    async with ledger.read() as connection:
        return [row.body for row in await deliveries.unprocessed(connection, 1_000)]


async def storms(ledger: Ledger) -> int:
    async with ledger.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(storm))).scalar_one())


async def test_accepted_deliveries_are_on_disk_in_order(ledger: Ledger, file: Path) -> None:
    await asyncio.gather(*(ledger.accept(NOW, b"%d" % number) for number in range(500)))
    with sqlite3.connect(file) as other:
        kept = [row[0] for row in other.execute("SELECT body FROM delivery ORDER BY id")]
    other.close()
    assert kept == [b"%d" % number for number in range(500)]


async def test_closed_ledger_is_not_written(file: Path) -> None:
    """Its lock is released, so another process may have it."""
    async with ledger_at(f"sqlite:///{file}").open() as ledger:
        pass
    with pytest.raises(LedgerUnavailable, match="the ledger is not open"):
        async with ledger.write() as connection:
            await connection.execute(insert(storm).values(seen_at=NOW, detail=""))


async def test_committed_row_counts_although_its_hash_cannot_be_noted_beside_the_ledger(file: Path) -> None:
    ledger = SqliteLedger(f"sqlite:///{file}")
    async with ledger.open():
        assert ledger._lock is not None
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, ledger._lock._descriptor)
        os.close(full)
        async with ledger.write() as connection:
            await audit.append(connection, NOW, "test")
        async with ledger.read() as connection:
            assert await audit.head(connection) != audit.GENESIS


async def test_concurrent_deliveries_share_commits(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    commit = DeliveryWriter._commit
    monkeypatch.setattr(DeliveryWriter, "_commit", lambda self, rows: groups.append(len(rows)) or commit(self, rows))
    await asyncio.gather(*(ledger.accept(NOW, b"x") for _ in range(300)))
    assert sum(groups) == 300
    assert len(groups) <= 4


async def test_event_loop_runs_while_another_process_writes(ledger: Ledger, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asked = asyncio.create_task(ledger.accept(NOW, b"x"))
    longest = await longest_gap(0.5)
    assert not asked.done()
    other.execute("ROLLBACK")
    other.close()
    await asked
    assert await bodies(ledger) == [b"x"]
    assert longest < 2, "the thread that writes waits for 5 s"


async def longest_gap(seconds: float) -> float:
    """Return the longest time within `seconds` for which the event loop was blocked."""
    loop, longest = asyncio.get_running_loop(), 0.0
    until = (last := loop.time()) + seconds
    while last < until:
        await asyncio.sleep(0.001)
        longest, last = max(longest, loop.time() - last), loop.time()
    return longest


async def test_delivery_waits_for_at_most_two_of_many_writers(ledger: Ledger) -> None:
    written = 0

    async def write() -> None:
        nonlocal written
        async with ledger.write() as connection:
            await connection.execute(insert(storm).values(seen_at=NOW, detail="x"))
        written += 1

    async with asyncio.TaskGroup() as writers:
        for _ in range(30):
            writers.create_task(write())
        await asyncio.sleep(0)
        await ledger.accept(NOW, b"{}")
        assert written <= 2


async def test_cancelled_delivery_leaves_the_others_of_its_group_alone(ledger: Ledger) -> None:
    async with ledger.write():
        asked = [asyncio.create_task(ledger.accept(NOW, b"%d" % number)) for number in range(5)]
        await asyncio.sleep(0)
        asked[0].cancel()
        asked[3].cancel()
        await asyncio.sleep(0)
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in ended] == [True, False, False, True, False]
    assert {b"1", b"2", b"4"} <= set(await bodies(ledger))


async def test_group_is_stored_and_answered_when_its_task_is_cancelled(ledger: SqliteLedger, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asked = [asyncio.create_task(ledger.accept(NOW, b"x")) for _ in range(3)]

    async def has_taken_the_group() -> bool:
        return not ledger._delivery_writer._pending and ledger._delivery_writer._groups.empty()

    await asyncio.sleep(0)
    await becomes(has_taken_the_group, True)  # the thread now waits for the other connection
    [task] = [each for each in asyncio.all_tasks() if each.get_name() == "deliveries"]
    task.cancel()
    await asyncio.wait([task])
    other.execute("ROLLBACK")
    other.close()
    assert await asyncio.gather(*asked, ledger.accept(NOW, b"y")) == [None] * 4
    assert await bodies(ledger) == [b"x", b"x", b"x", b"y"]


async def test_pending_deliveries_are_stored_when_the_ledger_closes(file: Path) -> None:
    async with ledger_at(f"sqlite:///{file}").open() as ledger:
        asked = [asyncio.create_task(ledger.accept(NOW, b"x")) for _ in range(300)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*asked) == [None] * 300
    async with ledger_at(f"sqlite:///{file}").open() as again:
        assert len(await bodies(again)) == 300


@pytest.mark.parametrize("times", [1, 3])
async def test_transaction_cancelled_anywhere_leaves_no_lock_and_no_partial_write(
    file: Path, ledger: Ledger, times: int
) -> None:
    async def write_three() -> None:
        async with ledger.write() as connection:
            for _ in range(3):
                await connection.execute(insert(storm).values(seen_at=NOW, detail="x"))

    for steps in range(60):
        task = asyncio.create_task(write_three())
        for _ in range(steps):
            await asyncio.sleep(0)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(task, return_exceptions=True)
        other = sqlite3.connect(file, timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # raises if the lock is still held
        other.execute("ROLLBACK")
        other.close()
    assert await storms(ledger) % 3 == 0


async def test_connection_survives_the_cancellation_of_its_transaction(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each would be replaced, and the garbage collector would keep the old one with its lock."""
    opened: list[object] = []
    connect = sqlite3.connect
    await storms(ledger)
    monkeypatch.setattr(sqlite3, "connect", lambda *file, **options: opened.append(file) or connect(*file, **options))
    for steps in range(2, 40):
        task = asyncio.create_task(storms(ledger))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert opened == []


async def test_task_cancelled_in_a_transaction_ends_after_it(ledger: Ledger) -> None:
    went_on = False

    async def write() -> None:
        nonlocal went_on
        async with ledger.write() as connection:
            await connection.execute(insert(storm).values(seen_at=NOW, detail="x"))
        went_on = True

    task = asyncio.create_task(write())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not went_on


async def test_failed_transaction_writes_nothing(ledger: Ledger) -> None:
    async def fail() -> None:
        async with ledger.write() as connection:
            await connection.execute(insert(storm).values(seen_at=NOW, detail="x"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await storms(ledger) == 0


@pytest.fixture
def no_ledger(file: Path) -> Iterator[None]:
    file.write_bytes(b"something else entirely" * 1_000)
    yield
    assert file.read_bytes() == b"something else entirely" * 1_000


async def test_file_that_is_not_a_ledger_is_refused_untouched(file: Path, no_ledger: None) -> None:
    with pytest.raises(LedgerUnavailable, match=r"ledger\.db: the ledger: file is not a database; restore it, or"):
        async with ledger_at(f"sqlite:///{file}").open():
            pass


def modes(file: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in file.parent.glob("ledger.db*")}


@pytest.fixture
def shared(file: Path) -> None:
    """Create a ledger that a backup group may read."""
    file.touch()
    file.chmod(0o640)


async def test_new_ledger_is_readable_only_by_its_owner(file: Path) -> None:
    async with ledger_at(f"sqlite:///{file}").open() as ledger:
        await ledger.accept(NOW, b"x")
        names = ("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock")
        assert modes(file) == dict.fromkeys(names, 0o600)


async def test_mode_of_an_existing_ledger_stays(file: Path, shared: None) -> None:
    async with ledger_at(f"sqlite:///{file}").open():
        assert modes(file)["ledger.db"] == 0o640


def damage(file: Path, table: str) -> None:
    """Spoil the first page of a table."""
    with sqlite3.connect(file) as ledger:
        [(page,)] = ledger.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchall()
        [(size,)] = ledger.execute("PRAGMA page_size").fetchall()
    ledger.close()
    with file.open("r+b") as content:
        content.seek((page - 1) * size)
        content.write(b"\xff" * size)


@pytest.mark.parametrize("table", ["run", "pause", "breaker", "episode_one_open"])
async def test_ledger_with_a_damaged_small_table_does_not_open(file: Path, table: str) -> None:
    async with ledger_at(f"sqlite:///{file}").open():
        pass
    damage(file, table)
    with pytest.raises(LedgerUnavailable, match="it is damaged"):
        async with ledger_at(f"sqlite:///{file}").open():
            pass


@pytest.mark.parametrize("table", ["delivery", "audit_hash"])
async def test_damage_of_a_large_table_is_found_in_the_background(file: Path, table: str) -> None:
    async with ledger_at(f"sqlite:///{file}").open():
        pass
    damage(file, table)
    async with ledger_at(f"sqlite:///{file}").open() as ledger:

        async def trouble() -> str:
            try:
                await storms(ledger)
            except LedgerUnavailable as error:
                return str(error).partition(" (")[0]
            return "none"

        await becomes(trouble, "the ledger: it is damaged")
        with pytest.raises(LedgerUnavailable, match=r"it is damaged|malformed"):
            await ledger.accept(NOW, b"{}")


async def test_closed_ledger_accepts_no_delivery(file: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger_at(f"sqlite:///{file}").accept(NOW + timedelta(0), b"{}")


async def test_every_commit_reaches_the_disk(ledger: SqliteLedger) -> None:
    """Invariant 1: FULL is 2. No test can cut the power, which loses writes still in the system cache."""
    async with ledger.write() as connection:
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one() == 2
    assert ledger._delivery_writer is not None
    assert ledger._delivery_writer._connection.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_each_delivery_of_a_failed_group_gets_the_error_and_the_next_is_stored(ledger: Ledger) -> None:
    group = ledger.accept(NOW, b"0"), ledger.accept(NOW, None), ledger.accept(NOW, b"2")  # type: ignore[arg-type]
    errors = await asyncio.gather(*group, return_exceptions=True)
    assert [(type(each), "NOT NULL" in str(each)) for each in errors] == [(LedgerUnavailable, True)] * 3
    assert await asyncio.gather(ledger.accept(NOW, b"1"), return_exceptions=True) == [None]
    assert await bodies(ledger) == [b"1"]


async def test_writer_excludes_others_from_its_first_statement_on(ledger: Ledger, file: Path) -> None:
    """Invariant 3."""
    other = sqlite3.connect(file, timeout=0, isolation_level=None)
    async with ledger.write():
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.close()


EPISODE = """INSERT INTO episode
    (stack, remediation, target, opened_at, firing_since, delivered_at, confirmed_at, alerts)
    VALUES ('shop', 'clear_folder', 'main', 0, 0, 0, 0, '{}')"""
ENDED_EPISODE = EPISODE.replace("alerts)", "alerts, ended_at)").replace("'{}')", "'{}', 1)")
RUN = """INSERT INTO run (episode, stack, remediation, target, state, reason, fence, created_at, evidence)
    VALUES (1, 'shop', 'clear_folder', 'main', 'admitted', '', 1, 0, '{}')"""
PLANNED_RUN, ENDED_RUN = RUN.replace("admitted", "planned"), RUN.replace("admitted", "failed")
RUN_OF_ANOTHER = RUN.replace("(1,", "(2,").replace("admitted", "executing")
ITEM = "INSERT INTO item (run, position, identity, evidence, state, detail) VALUES (1, 0, '{}', '{}', 'planned', '')"


@pytest.mark.parametrize(
    ("before", "again"),
    [
        ([ENDED_EPISODE, EPISODE], EPISODE),
        ([EPISODE, ENDED_RUN, PLANNED_RUN], RUN.replace("main", "spare")),
        ([ENDED_EPISODE, EPISODE, RUN], RUN_OF_ANOTHER),
        ([EPISODE, RUN, ITEM], ITEM),
    ],
    ids=["two open episodes", "two open runs of one", "two runs that act on one target", "one place of a run twice"],
)
async def test_tables_refuse_duplicates(ledger: Ledger, before: list[str], again: str) -> None:
    """Invariants 2, 4 and 6, even if the code forgets to check."""
    async with ledger.write() as connection:
        for each in before:
            await connection.exec_driver_sql(each)
    with pytest.raises(LedgerUnavailable, match="UNIQUE"):
        async with ledger.write() as connection:
            await connection.exec_driver_sql(again)
