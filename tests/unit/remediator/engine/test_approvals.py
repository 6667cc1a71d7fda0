"""Approved, rejected and expired runs."""

from pathlib import Path
from typing import Any

import pytest

from remediator.model.remediation import ItemState
from remediator.runs.approval import approve, reject
from tests.unit.remediator.conftest import engine_harness, inventory


async def test_an_approval_covers_the_items_it_lists_and_no_others(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        run = await bench.last_run()
        bench.shelf.fill("later")
        (folder / "b").unlink()
        await approve(bench.context, run.id, "oncall")
        await bench.work()
        run = await bench.last_run()
        assert bench.shelf.touched == ["a"]
        assert [item.state for item in await bench.items(run)] == [ItemState.APPLIED, ItemState.SKIPPED]
        assert run.approved_by == "oncall"


@pytest.mark.parametrize("tighter", [{"max_items": 1}, {"batch": 1}, {"mode": "off"}])
async def test_approved_run_is_refused_by_a_bound_tightened_since(folder: Path, tighter: dict[str, Any]) -> None:
    async with engine_harness(folder, inventory(mode="approve", batch=2)) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
    async with engine_harness(folder, inventory(**{"mode": "approve", "batch": 2, **tighter})) as bench:
        await approve(bench.context, (await bench.last_run()).id, "oncall")
        await bench.work()
        assert ((await bench.last_run()).state, bench.shelf.touched) == ("refused", [])


async def test_a_rejected_run_ends(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        await reject(bench.context, (await bench.last_run()).id, "oncall")
        await bench.work()
        assert (await bench.last_run()).state == "rejected"
        assert bench.shelf.touched == []


async def test_run_expires_without_an_approval(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve", approve_within="5m")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        bench.clock.advance(minutes=6)
        await bench.work()
        assert (await bench.last_run()).state == "expired"
