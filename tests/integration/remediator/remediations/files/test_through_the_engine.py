"""The engine prunes a folder from an alert or an operator's start to the record, and only after a yes."""

import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.clients.open_files import read_open_files
from remediator.context import Context
from remediator.ledger.address import ledger_at
from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from remediator.remediations import REMEDIATIONS, prune_files
from remediator.runs.approval import approve
from remediator.runs.questions import Request, ask, confirm
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, ManualClock
from tests.unit.remediator.folder_remediation import FolderRemediation

LABELS = {"remediation": "prune_files", "target": "logs"}


class Disk:
    """An engine whose stack has one folder of logs, of which two files are old."""

    def __init__(self, harness: EngineHarness, folder: Path) -> None:
        self.harness, self.folder = harness, folder
        for name, days in [("app.log", 0), ("app.log.1", 20), ("app.log.2.gz", 40)]:
            file = folder / name
            file.write_text("x" * 10)
            os.utime(file, times=(time.time() - days * 86_400,) * 2)

    def use(self, **settings: Any) -> None:
        remediation = {"mode": "approve", "settle": "0s", "verify_within": "0s", **settings}
        folder = {"path": str(self.folder), "pattern": "*.log*", "older_than": "14d", "keep": 1}
        stack = {"folders": {"logs": folder}, "remediations": {"prune_files": remediation}}
        self.harness.context.inventory = Inventory.model_validate({"stacks": {"shop": stack}})

    async def outcome(self) -> tuple[RunState, str]:
        await self.harness.work()
        run = await self.harness.last_run()
        return run.state, run.reason

    async def deliver(self, **labels: str) -> tuple[RunState, str]:
        await self.harness.deliver(**LABELS, **labels)
        return await self.outcome()

    def files(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
async def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Disk]:
    monkeypatch.setattr(prune_files, "read_open_files", lambda: replace(read_open_files(), blind_spot=None))
    folder = tmp_path / "logs"
    folder.mkdir()
    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        context = Context(Inventory(), ledger, ManualClock(), REMEDIATIONS, None)
        disk = Disk(EngineHarness(context, FolderRemediation(folder), context.clock), folder)
        disk.use()
        yield disk


async def test_files_are_deleted_once_an_operator_approves(disk: Disk) -> None:
    assert await disk.deliver() == (RunState.AWAITING_APPROVAL, "")
    assert len(disk.files()) == 3
    run = await disk.harness.last_run()
    await approve(disk.harness.context, run.id, "oncall")
    assert await disk.outcome() == (RunState.SUCCEEDED, "")
    assert disk.files() == {"app.log"}
    run = await disk.harness.last_run()
    assert run.target == "shop/folders/logs"
    assert run.evidence["proof"]["left"] == 0
    assert [item.state for item in await disk.harness.items(run)] == [ItemState.APPLIED] * 2


async def test_operator_starts_a_run_whose_plan_shows_every_file(disk: Disk) -> None:
    context = disk.harness.context
    question = (await ask(context, "oncall", Request(remediation="prune_files", target="shop/logs"))).question
    await confirm(context, question.id, "oncall", question.plan_hash)
    assert await disk.outcome() == (RunState.SUCCEEDED, "")
    assert disk.files() == {"app.log"}


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({"mode": "shadow"}, (RunState.SHADOW, "")),
        ({"mode": "off"}, (RunState.REFUSED, "mode_off")),
        ({"max_items": 1}, (RunState.REFUSED, "max_items")),
    ],
)
async def test_bound_stops_the_deletion(disk: Disk, settings: dict[str, Any], outcome: object) -> None:
    disk.use(**settings)
    assert await disk.deliver() == outcome
    assert len(disk.files()) == 3


async def test_hidden_processes_refuse_the_run(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_files, "read_open_files", lambda: replace(read_open_files(), blind_spot="hidden"))
    assert await disk.deliver() == (RunState.REFUSED, "open_files_hidden")
    assert len(disk.files()) == 3


@pytest.mark.parametrize("target", ["../logs", "/etc", "logs/../..", "LOGS", "logs\x00"])
async def test_target_of_an_alert_is_only_looked_up(disk: Disk, target: str) -> None:
    await disk.harness.deliver(remediation="prune_files", target=target)
    assert await disk.outcome() == (RunState.REFUSED, "unknown_target")
    assert len(disk.files()) == 3
