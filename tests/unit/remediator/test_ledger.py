"""The ledger itself: what is accepted is there, whoever is cancelled; old files are upgraded, damaged ones refused."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, func, insert, select

from remediator.errors import LedgerUnavailable
from remediator.ledger import Ledger, deliveries, ledger_at, outbox
from remediator.ledger.clerk import Clerk
from remediator.ledger.patient import PatientConnection
from remediator.ledger.schema import metadata, storm

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(file: Path) -> AsyncIterator[Ledger]:
    async with ledger_at(f"sqlite:///{file}").opened() as opened:
        yield opened


async def bodies(ledger: Ledger) -> list[bytes]:
    async with ledger.read() as connection:
        return [kept.body for kept in await deliveries.unprocessed(connection, 1_000)]


async def storms(ledger: Ledger) -> int:
    async with ledger.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(storm))).scalar_one())


async def test_what_was_accepted_is_on_disk_in_the_order_it_came(ledger: Ledger, file: Path) -> None:
    await asyncio.gather(*(ledger.accept(NOW, b"%d" % number) for number in range(500)))
    with sqlite3.connect(file) as other:
        kept = [row[0] for row in other.execute("SELECT body FROM delivery ORDER BY id")]
    other.close()
    assert kept == [b"%d" % number for number in range(500)]


async def test_many_at_once_share_their_commits(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    commit = Clerk._commit
    monkeypatch.setattr(Clerk, "_commit", lambda self, rows: groups.append(len(rows)) or commit(self, rows))
    await asyncio.gather(*(ledger.accept(NOW, b"x") for _ in range(300)))
    assert sum(groups) == 300
    assert len(groups) <= 4


async def test_one_alone_is_kept_without_the_thread(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clerk, "_commit", lambda *_: ZeroDivisionError())
    await ledger.accept(NOW, b"x")
    assert await bodies(ledger) == [b"x"]


async def test_after_a_slow_commit_the_thread_keeps_what_comes_until_one_was_quick(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    commit = Clerk._commit
    monkeypatch.setattr(Clerk, "_commit", lambda self, rows: groups.append(len(rows)) or commit(self, rows))
    monkeypatch.setattr("remediator.ledger.clerk.QUICK_SECONDS", 0.0)
    for seen in ([], [1], [1, 1]):  # the first is kept here, and was not quick enough
        await ledger.accept(NOW, b"x")
        assert groups == seen
    monkeypatch.setattr("remediator.ledger.clerk.QUICK_SECONDS", 60.0)
    for _ in range(2):  # by the thread, which is quick now; then here
        await ledger.accept(NOW, b"x")
        await asyncio.sleep(0)  # the thread's turn ends
    assert groups == [1, 1, 1]
    assert len(await bodies(ledger)) == 5


async def test_the_loop_goes_on_while_another_process_writes(ledger: Ledger, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asked = asyncio.create_task(ledger.accept(NOW, b"x"))
    longest = await longest_gap(0.5)
    assert not asked.done()
    other.execute("ROLLBACK")
    other.close()
    await asked
    assert await bodies(ledger) == [b"x"]
    assert longest < 0.3


async def longest_gap(seconds: float) -> float:
    """How long the event loop was away, at most, within `seconds`."""
    loop, longest = asyncio.get_running_loop(), 0.0
    until = (last := loop.time()) + seconds
    while last < until:
        await asyncio.sleep(0.001)
        longest, last = max(longest, loop.time() - last), loop.time()
    return longest


async def test_whoever_is_cancelled_takes_no_other_delivery_along(ledger: Ledger) -> None:
    async with ledger.write():
        asked = [asyncio.create_task(ledger.accept(NOW, b"%d" % number)) for number in range(5)]
        await asyncio.sleep(0)
        asked[0].cancel()
        asked[3].cancel()
        await asyncio.sleep(0)
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in ended] == [True, False, False, True, False]
    assert {b"1", b"2", b"4"} <= set(await bodies(ledger))


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelled_anywhere_a_transaction_leaves_no_lock_and_no_half(
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
        other.execute("BEGIN IMMEDIATE")  # raises where somebody still has the lock
        other.execute("ROLLBACK")
        other.close()
    assert await storms(ledger) % 3 == 0


async def test_a_connection_survives_that_its_transaction_is_cancelled(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new one for each, and the old ones are left to the garbage collector, lock and all."""
    opened: list[object] = []
    connect = PatientConnection._connect
    monkeypatch.setattr(PatientConnection, "_connect", lambda self: opened.append(self) or connect(self))
    for steps in range(2, 40):
        task = asyncio.create_task(storms(ledger))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert opened == []


async def test_a_task_that_was_cancelled_in_a_transaction_is_cancelled_after_it(ledger: Ledger) -> None:
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


async def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    async def fail() -> None:
        async with ledger.write() as connection:
            await connection.execute(insert(storm).values(seen_at=NOW, detail="x"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await storms(ledger) == 0


async def test_the_tables_are_those_of_the_schema(ledger: Ledger) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with ledger.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_ledger_of_the_first_release_is_upgraded_with_all_it_holds(file: Path) -> None:
    first = Path(__file__).with_name("first_release.sql").read_text()
    with sqlite3.connect(file) as old:
        old.executescript(first)
    old.close()
    async with ledger_at(f"sqlite:///{file}").opened() as ledger:
        assert await bodies(ledger) == [b"{}"]
        async with ledger.read() as connection:
            counted = await connection.exec_driver_sql("SELECT state, reason, runs, acted, seconds FROM tally")
            assert [tuple(row) for row in counted] == [("refused", "storm", 1, 0, 0.0), ("succeeded", "", 2, 2, 3.0)]
    async with ledger_at(f"sqlite:///{file}").opened() as again:
        assert await bodies(again) == [b"{}"]


async def test_messages_of_the_first_release_are_still_sent_and_say_their_episode(file: Path) -> None:
    with sqlite3.connect(file) as old:
        old.executescript(Path(__file__).with_name("first_release.sql").read_text())
        old.execute(
            "INSERT INTO outbox (key, contact, created_at, title, body, attempts, next_attempt_at)"
            " SELECT id || '/refused/storm', 'oncall', 0, 'title', 'body', 2, 0 FROM episode LIMIT 1"
        )
        [(episode,)] = old.execute("SELECT id FROM episode LIMIT 1").fetchall()
    old.close()
    async with ledger_at(f"sqlite:///{file}").opened() as ledger, ledger.read() as connection:
        [message] = await outbox.due(connection, NOW)
    assert (message.episode, message.contact, message.attempts) == (episode, "oncall", 2)


async def test_a_ledger_of_a_newer_release_is_refused(file: Path) -> None:
    async with ledger_at(f"sqlite:///{file}").opened() as ledger, ledger.write() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerUnavailable, match="written by a newer release"):
        async with ledger_at(f"sqlite:///{file}").opened():
            pass


@pytest.fixture
def no_ledger(file: Path) -> Iterator[None]:
    file.write_bytes(b"something else entirely" * 1_000)
    yield
    assert file.read_bytes() == b"something else entirely" * 1_000


async def test_a_file_that_is_no_ledger_is_refused_and_left_alone(file: Path, no_ledger: None) -> None:
    with pytest.raises(LedgerUnavailable, match=r"ledger\.db: the ledger: file is not a database"):
        async with ledger_at(f"sqlite:///{file}").opened():
            pass


def damage(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(b"\xff" * 8_192)


async def test_a_damaged_ledger_is_refused(file: Path) -> None:
    async with ledger_at(f"sqlite:///{file}").opened() as ledger:
        for _ in range(50):
            await ledger.accept(NOW, b"x" * 2_000)
    damage(file)
    with pytest.raises(LedgerUnavailable, match="it is damaged"):
        async with ledger_at(f"sqlite:///{file}").opened():
            pass


async def test_nothing_is_accepted_by_a_ledger_that_is_not_open(file: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger_at(f"sqlite:///{file}").accept(NOW + timedelta(0), b"{}")
