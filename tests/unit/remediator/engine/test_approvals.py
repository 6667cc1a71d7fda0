"""Approved, rejected and expired runs."""

from pathlib import Path
from typing import Any

import pytest

from remediator.model.remediation import ItemState
from remediator.runs.approval import approve, reject
from tests.unit.remediator.conftest import engine_harness, inventory


async def test_an_approval_covers_the_items_it_lists_and_no_others(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as harness:
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
        run = await harness.last_run()
        harness.files.fill("later")
        (folder / "b").unlink()
        await approve(harness.context, run.id, "oncall")
        await harness.work()
        run = await harness.last_run()
        assert harness.files.touched == ["a"]
        assert [item.state for item in await harness.items(run)] == [ItemState.APPLIED, ItemState.SKIPPED]
        assert run.approved_by == "oncall"


@pytest.mark.parametrize("tighter", [{"max_items": 1}, {"batch": 1}, {"mode": "off"}])
async def test_approved_run_is_refused_by_a_bound_tightened_since(folder: Path, tighter: dict[str, Any]) -> None:
    async with engine_harness(folder, inventory(mode="approve", batch=2)) as harness:
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
    async with engine_harness(folder, inventory(**{"mode": "approve", "batch": 2, **tighter})) as harness:
        await approve(harness.context, (await harness.last_run()).id, "oncall")
        await harness.work()
        assert ((await harness.last_run()).state, harness.files.touched) == ("refused", [])


async def test_a_rejected_run_ends(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        await reject(harness.context, (await harness.last_run()).id, "oncall")
        await harness.work()
        assert (await harness.last_run()).state == "rejected"
        assert harness.files.touched == []


async def test_run_expires_without_an_approval(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve", approve_within="5m")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        harness.clock.advance(minutes=6)
        await harness.work()
        assert (await harness.last_run()).state == "expired"


async def test_every_approval_request_is_escalated(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as harness:
        for item in ("a", "b"):
            harness.files.fill(item)
            await harness.deliver()
            await harness.work()
            await reject(harness.context, (await harness.last_run()).id, "oncall")
            harness.clock.advance(minutes=6)
        assert len(await harness.notification_titles()) == 2


async def test_rejected_items_are_asked_about_again_only_when_they_change(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        await reject(harness.context, (await harness.last_run()).id, "oncall")
        harness.clock.advance(minutes=6)
        await harness.deliver()
        await harness.work()
        last_run = await harness.last_run()
        assert (last_run.state, last_run.reason) == ("rejected", "same_items")
        assert len(await harness.notification_titles()) == 1
        harness.files.fill("b")
        harness.clock.advance(minutes=6)
        await harness.deliver()
        await harness.work()
        assert (await harness.last_run()).state == "awaiting_approval"
