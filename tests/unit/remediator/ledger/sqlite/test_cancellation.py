"""Tasks cancelled anywhere lose no accepted delivery and leave no lock."""

import asyncio
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from remediator.ledger import audit, deliveries, switches
from remediator.ledger.address import ledger_at
from remediator.ledger.protocol import Ledger
from remediator.model.clock import SystemClock

CLOCK = SystemClock()


async def write(ledger: Ledger) -> None:
    async with ledger.write() as connection:
        await switches.note_storm(connection, CLOCK.now(), "many")
        await asyncio.sleep(0.001)
        await switches.last_storm(connection)


async def read(ledger: Ledger) -> None:
    async with ledger.read() as connection:
        await deliveries.count_unprocessed(connection)
        await asyncio.sleep(0.001)


async def test_accepted_deliveries_survive_a_storm_of_cancellations(tmp_path: Path) -> None:
    """Invariant 1."""
    chance, kept = random.Random(1), list[bytes]()  # noqa: S311 - the same storm each time

    async def accept(ledger: Ledger, body: bytes) -> None:
        await ledger.accept(CLOCK.now(), body)
        kept.append(body)

    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        tasks = []
        for number in range(600):
            body = b"%d" % number
            steps = [lambda body=body: accept(ledger, body), lambda: write(ledger), lambda: read(ledger)]
            tasks.append(asyncio.create_task(chance.choice([steps[0], *steps])()))
            if chance.random() < 0.3:
                asyncio.get_running_loop().call_later(0.02 * chance.random(), tasks[-1].cancel)
            await asyncio.sleep(0.001 if chance.random() < 0.2 else 0)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError}
        await asyncio.wait_for(write(ledger), 20)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        stored = {body for (body,) in connection.execute("SELECT body FROM delivery")}
    assert kept
    assert set(kept) <= stored


async def test_cancellation_is_not_lost_when_the_transaction_fails(tmp_path: Path) -> None:
    async def fail(ledger: Ledger) -> None:
        async with ledger.write() as connection:
            asyncio.get_running_loop().call_soon(task.cancel)
            await switches.last_storm(connection)
            raise ValueError("odd")

    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        task = asyncio.create_task(fail(ledger))
        await asyncio.wait([task])
        assert task.cancelled()


async def test_head_is_recorded_when_the_writer_is_cancelled_at_its_commit(tmp_path: Path) -> None:
    async def write_row(ledger: Ledger) -> None:
        async with ledger.write() as connection:
            await audit.append(connection, CLOCK.now(), "test")
            asyncio.get_running_loop().call_soon(task.cancel)

    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        task = asyncio.create_task(write_row(ledger))
        await asyncio.wait([task])
        assert task.cancelled()
        async with ledger.read() as connection:
            head = await audit.head(connection)
        assert head != audit.GENESIS
        assert head in (tmp_path / "ledger.db.lock").read_text()


async def test_read_does_not_record_the_head_of_an_earlier_write(tmp_path: Path) -> None:
    lock = tmp_path / "ledger.db.lock"
    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        async with ledger.write() as connection:
            await audit.append(connection, CLOCK.now(), "test")
        recorded = lock.read_text()
        lock.write_text("")
        await read(ledger)
        assert lock.read_text() == ""
        lock.write_text(recorded)


async def test_deliveries_outlive_the_cancellation_of_their_writer(tmp_path: Path) -> None:
    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        accepted = asyncio.create_task(ledger.accept(CLOCK.now(), b"body"))
        await asyncio.sleep(0)
        (writer,) = (task for task in asyncio.all_tasks() if task.get_name() == "deliveries")
        writer.cancel()  # before its first step
        await asyncio.wait_for(accepted, 60)
        async with ledger.read() as connection:
            assert await deliveries.count_unprocessed(connection) == 1


async def test_ledger_is_closed_as_a_whole_when_closing_is_cancelled(tmp_path: Path) -> None:
    address, threads_before = f"sqlite:///{tmp_path}/ledger.db", set(threading.enumerate())

    async def open_and_close() -> None:
        async with ledger_at(address).open() as ledger:
            await ledger.accept(CLOCK.now(), b"body")
            asyncio.get_running_loop().call_soon(task.cancel)

    task = asyncio.create_task(open_and_close())
    await asyncio.wait([task])
    assert task.cancelled()
    threads = [each for each in set(threading.enumerate()) - threads_before if each.name.startswith("ledger")]
    for thread in threads:  # told to end, and given a moment to do so
        thread.join(5)
    assert not [thread.name for thread in threads if thread.is_alive()]
    async with ledger_at(address).open() as ledger, ledger.read() as connection:
        assert await deliveries.count_unprocessed(connection) == 1
    assert not [thread.name for thread in threading.enumerate() if thread.name == "deliveries"]
