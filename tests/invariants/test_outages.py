"""With a full disk, a read-only folder or a suspended process, no effect happens without a record."""

import asyncio
import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.address import ledger_at
from remediator.ledger.run_list import list_runs
from remediator.ledger.sqlite.store import SqliteLedger
from remediator.model.errors import LedgerUnavailable
from tests.invariants.outage import FORKS, full_disk, full_disk_at_rest, read_only, run_in_process, slow_work
from tests.unit.remediator.conftest import EngineHarness


def test_full_disk_refuses_deliveries_starts_no_effect_and_is_reported(folder: Path) -> None:
    assert run_in_process(full_disk, folder.parent) == {
        "accepting": "the ledger: disk I/O error",
        "trouble": "the ledger: disk I/O error",
        "touched while full": [],
        "touched afterwards": ["a"],
        "trouble afterwards": None,
    }


def test_full_disk_is_reported_while_the_engine_is_idle(folder: Path) -> None:
    assert run_in_process(full_disk_at_rest, folder.parent) == {
        "before": (200, "ready", True),
        "full": (503, "the ledger: disk I/O error", False),
        "afterwards": (200, "ready", True),
    }


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """Yield a folder in which only root may write."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o555)
        yield Path(name)
        Path(name).chmod(0o755)


def test_read_only_folder_fails_the_start_with_its_cause(closed_folder: Path) -> None:
    file = closed_folder / "ledger.db"
    assert run_in_process(read_only, file) == f"cannot create {file}.lock: Permission denied"


def test_read_only_ledger_fails_the_start_with_its_cause(closed_folder: Path) -> None:
    file = closed_folder / "ledger.db"
    closed_folder.chmod(0o755)
    sqlite3.connect(file).close()
    Path(f"{file}.lock").touch()
    Path(f"{file}.lock").chmod(0o666)
    file.touch()
    file.chmod(0o444)
    closed_folder.chmod(0o555)
    assert run_in_process(read_only, file) == f"{file}: the ledger: attempt to write a readonly database"


async def test_ledger_damaged_while_open_stops_all_work(harness: EngineHarness, folder: Path) -> None:
    harness.files.fill("a")
    await harness.deliver()
    async with harness.context.ledger.write() as connection:
        await connection.exec_driver_sql("PRAGMA writable_schema = ON")
        await connection.exec_driver_sql("UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'run'")
        await connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    with pytest.raises(LedgerUnavailable, match="malformed"):
        await harness.work()
    assert harness.files.touched == []


@pytest.mark.parametrize("at", ["before", "after"])
async def test_ledger_lost_during_an_effect_records_the_outcome_when_it_is_back(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    unavailable = False
    write = SqliteLedger.write

    def sometimes(ledger: SqliteLedger) -> AbstractAsyncContextManager[AsyncConnection]:
        if unavailable:
            raise LedgerUnavailable("the ledger: it is gone")
        return write(ledger)

    async def lose() -> None:
        nonlocal unavailable
        unavailable = True

    monkeypatch.setattr(SqliteLedger, "write", sometimes)
    for module in ("engine", "run_driver"):
        monkeypatch.setattr(f"remediator.engine.{module}.LEDGER_RETRY_SECONDS", 0.01)
    harness.files.fill("a", "b")
    setattr(harness.files, at, lose)
    await harness.deliver()
    await harness.engine.tick()
    await harness.engine.wait_for_runs()
    assert harness.files.touched == ["a"], "the second effect started without a record"
    assert harness.engine.fault == "the ledger: it is gone"
    unavailable = False
    setattr(harness.files, at, lambda: asyncio.sleep(0))
    await harness.work()
    run = await harness.last_run()
    assert (run.state, [item.state for item in await harness.items(run)]) == ("interrupted", ["applied", "planned"])
    assert harness.files.touched == ["a"]


def test_suspended_process_keeps_its_lock_and_checks_the_pause_when_it_continues(folder: Path) -> None:
    """Invariants 7 and 24: no other process can start, and a pause during the suspension is respected."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=slow_work, args=(theirs, folder.parent))
    process.start()
    theirs.close()
    assert ours.recv() == "began"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert "only one may act" in asyncio.run(_open_error(folder.parent / "ledger.db"))
        (folder.parent / "pause").touch()
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert ours.recv() == ("ended", ["a"])
    process.join(30)
    assert asyncio.run(_states(folder.parent / "ledger.db")) == [("interrupted", "kill_switch")]


async def _open_error(file: Path) -> str:
    try:
        async with ledger_at(f"sqlite:///{file}").open():
            return "opened"
    except LedgerUnavailable as error:
        return str(error)


async def _states(file: Path) -> list[tuple[str, str]]:
    async with ledger_at(f"sqlite:///{file}").open() as ledger, ledger.read() as connection:
        return [(run.state, run.reason) for run in (await list_runs(connection, limit=10)).runs]
