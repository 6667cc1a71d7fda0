"""A ledger with lost files accepts nothing, and nothing is done."""

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from remediator.ledger import switches
from remediator.ledger.address import ledger_at
from remediator.ledger.run_list import list_runs
from remediator.ledger.sqlite import store as sqlite_module
from remediator.model.errors import LedgerUnavailable
from tests.invariants.outage import run_in_process
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness, inventory
from tests.unit.remediator.payloads import delivery
from tests.unit.remediator.polling import becomes

FILE_LOST = "was removed or replaced while in use; put it back, or restart"


def ledger_of(folder: Path) -> Path:
    return folder.parent / "ledger.db"


def with_suffix(file: Path, suffix: str) -> Path:
    return Path(f"{file}{suffix}")


async def open_error(file: Path) -> str:
    try:
        async with ledger_at(f"sqlite:///{file}").open():
            return "opened"
    except LedgerUnavailable as error:
        return str(error)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", ".lock"])
async def test_removed_file_refuses_deliveries_until_it_is_back(
    harness: EngineHarness, folder: Path, tmp_path: Path, suffix: str
) -> None:
    lost = with_suffix(ledger_of(folder), suffix)
    harness.files.fill("a")
    await harness.deliver()
    lost.rename(tmp_path / "elsewhere")
    with pytest.raises(LedgerUnavailable, match=f"{lost} {FILE_LOST}"):
        await harness.deliver()
    with pytest.raises(LedgerUnavailable, match=FILE_LOST):
        await harness.engine.tick()
    assert harness.files.touched == []
    (tmp_path / "elsewhere").rename(lost)
    await harness.deliver()
    await harness.work()
    assert harness.files.touched == ["a"]


async def has_storm(harness: EngineHarness) -> bool:
    async with harness.context.ledger.read() as connection:
        return await switches.last_storm(connection) is not None


async def test_transaction_refused_for_a_lost_file_changes_nothing(
    harness: EngineHarness, folder: Path, tmp_path: Path
) -> None:
    ledger_of(folder).rename(tmp_path / "elsewhere")
    with pytest.raises(LedgerUnavailable, match=FILE_LOST):
        async with harness.context.ledger.write() as connection:
            await switches.note_storm(connection, START, "x")
    (tmp_path / "elsewhere").rename(ledger_of(folder))
    assert not await has_storm(harness)


async def test_transaction_fails_if_the_file_is_lost_before_its_commit(
    harness: EngineHarness, folder: Path, tmp_path: Path
) -> None:
    async def write() -> None:
        async with harness.context.ledger.write() as connection:
            await switches.note_storm(connection, START, "x")
            ledger_of(folder).rename(tmp_path / "elsewhere")

    with pytest.raises(LedgerUnavailable, match=FILE_LOST):
        await write()


async def test_replaced_file_refuses_deliveries(harness: EngineHarness, folder: Path) -> None:
    file = ledger_of(folder)
    shutil.copy(file, with_suffix(file, ".copy"))
    with_suffix(file, ".copy").replace(file)
    with pytest.raises(LedgerUnavailable, match=FILE_LOST):
        await harness.deliver()


async def test_no_further_effect_starts_if_the_file_is_lost_during_an_effect(
    harness: EngineHarness, folder: Path, tmp_path: Path
) -> None:
    async def lose() -> None:
        if ledger_of(folder).exists():
            ledger_of(folder).rename(tmp_path / "elsewhere")

    harness.files.fill("a", "b")
    harness.files.after = lose
    await harness.deliver()
    await harness.engine.tick()
    for task in list(harness.engine._drive_tasks.values()):
        await becomes(lambda: _reports_loss(harness), True)
        task.cancel()
    assert harness.files.touched == ["a"]


async def _reports_loss(harness: EngineHarness) -> bool:
    return FILE_LOST in (harness.engine.fault or "")


async def test_removed_folder_refuses_deliveries(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with ledger_at(f"sqlite:///{home}/ledger.db").open() as ledger:
        shutil.rmtree(home)
        with pytest.raises(LedgerUnavailable, match=FILE_LOST):
            await ledger.accept(START, delivery())


async def test_another_writer_only_delays_deliveries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT_MILLISECONDS", 50)
    async with engine_harness(folder, inventory()) as harness:
        with closing(sqlite3.connect(ledger_of(folder), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnavailable, match="database is locked"):
                await harness.deliver()
            other.execute("ROLLBACK")
        await harness.deliver()
        await harness.work()
        assert [run.state for run in await harness.runs()] == ["nothing_to_do"]


async def test_folder_and_hard_link_are_refused_and_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert await open_error(tmp_path / "empty.db") == "opened"
    (tmp_path / "folder.db").mkdir()
    assert "is a folder; name a file in it" in await open_error(tmp_path / "folder.db")
    assert "File name too long" in await open_error(tmp_path / ("x" * 300))
    os.link(tmp_path / "empty.db", tmp_path / "double.db")
    assert "has a second hard link" in await open_error(tmp_path / "double.db")
    assert "has a second hard link" in await open_error(tmp_path / "empty.db")


async def test_two_paths_of_one_file_share_one_lock(harness: EngineHarness, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(ledger_of(folder))
    assert "only one may act" in await open_error(tmp_path / "link.db")


async def test_remediator_whose_lock_file_was_deleted_does_not_act_beside_the_next_one(
    harness: EngineHarness, folder: Path
) -> None:
    """It looks like a leftover to whoever reads that another remediator has the ledger."""
    harness.files.fill("a")
    await harness.deliver()
    with_suffix(ledger_of(folder), ".lock").unlink()
    async with ledger_at(f"sqlite:///{ledger_of(folder)}").open():
        with pytest.raises(LedgerUnavailable, match=FILE_LOST):
            await harness.engine.tick()
    assert harness.files.touched == []


def back_up(file: Path) -> Path:
    """Copy the ledger as `sqlite3 FILE ".backup COPY"` does while it is in use."""
    copy = with_suffix(file, ".backup")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def restore(file: Path) -> None:
    with_suffix(file, ".backup").replace(file)
    for suffix in ("-wal", "-shm"):
        with_suffix(file, suffix).unlink(missing_ok=True)


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("accident", [restore, remove])
async def test_ledger_without_recent_history_pauses_until_an_operator_resumes(
    folder: Path, accident: Callable[[Path], None]
) -> None:
    async with engine_harness(folder, inventory()) as harness:
        harness.files.fill("a")
        await harness.deliver()
        back_up(ledger_of(folder))
        await harness.work()
    accident(ledger_of(folder))
    async with engine_harness(folder, inventory()) as harness:
        harness.files.fill("b")
        await harness.deliver()
        await harness.work()
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == ("refused", "kill_switch")
        async with harness.context.ledger.write() as connection:
            assert "is missing recent history" in str(await switches.stored_pause_reason(connection, START, "shop"))
            await switches.resume(connection, harness.clock.now(), "oncall", None)
    async with engine_harness(folder, inventory()) as harness, harness.context.ledger.read() as connection:
        assert await switches.stored_pause_reason(connection, START, "shop") is None, "one resume is enough"


async def test_wal_removed_after_a_crash_pauses_the_remediator(folder: Path) -> None:
    assert run_in_process(dies_after_work, folder) == "worked"
    assert with_suffix(ledger_of(folder), "-wal").stat().st_size > 0
    with_suffix(ledger_of(folder), "-wal").unlink()
    async with engine_harness(folder, inventory()) as harness, harness.context.ledger.read() as connection:
        assert await switches.stored_pause_reason(connection, START, "shop") is not None


async def test_crash_alone_pauses_nothing(folder: Path) -> None:
    assert run_in_process(dies_after_work, folder) == "worked"
    async with engine_harness(folder, inventory()) as harness, harness.context.ledger.read() as connection:
        assert await switches.stored_pause_reason(connection, START, "shop") is None
        assert [run.state for run in (await list_runs(connection, limit=9)).runs] == ["succeeded"]


def dies_after_work(answer: Connection, folder: Path) -> None:
    async def work() -> None:
        async with engine_harness(folder, inventory()) as harness:
            harness.files.fill("a")
            await harness.deliver()
            await harness.work()
            answer.send("worked")
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(work())
