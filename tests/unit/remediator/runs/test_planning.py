"""A plan receives the items of earlier runs; an empty plan with a reason ends its run."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.ledger import switches
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import TargetUnknown
from remediator.model.remediation import Plan
from remediator.model.run_state import RunState
from remediator.server.dry_run import preview_episode
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation


async def fire_again(harness: EngineHarness) -> None:
    await harness.deliver(status="resolved")
    await harness.work()
    await harness.deliver(starts=harness.clock.now().isoformat())
    await harness.work()


@pytest.fixture
async def lookback_harness(folder: Path) -> AsyncIterator[EngineHarness]:
    files = FolderRemediation(folder, lookback=timedelta(days=7))
    async with engine_harness(folder, inventory(cooldown="0s", max_runs_per_hour=10), files) as harness:
        yield harness


async def test_plan_receives_the_items_touched_within_its_lookback(lookback_harness: EngineHarness) -> None:
    lookback_harness.files.fill("a")
    await lookback_harness.deliver()
    await lookback_harness.work()
    assert lookback_harness.files.touched == ["a"]
    lookback_harness.clock.advance(days=6)
    await fire_again(lookback_harness)
    assert lookback_harness.files.touched_items == [{"name": "a"}]
    lookback_harness.clock.advance(days=1, minutes=1)
    await fire_again(lookback_harness)
    assert lookback_harness.files.touched_items == []


async def test_items_only_planned_do_not_count_as_touched(lookback_harness: EngineHarness) -> None:
    lookback_harness.files.fill(*"abcdef")  # more than max_items
    await lookback_harness.deliver()
    await lookback_harness.work()
    assert (await lookback_harness.last_run()).state is RunState.REFUSED
    lookback_harness.clock.advance(minutes=10)
    await fire_again(lookback_harness)
    assert lookback_harness.files.touched_items == []


async def test_empty_plan_with_a_reason_is_escalated_once_per_episode(harness: EngineHarness) -> None:
    harness.files.fill("a")
    harness.files.empty_reason = "queue_paused"
    for _ in range(3):
        await harness.deliver()
        await harness.work()
        harness.clock.advance(minutes=6)
    assert {(run.state, run.reason) for run in await harness.runs()} == {(RunState.NOTHING_TO_DO, "queue_paused")}
    assert len(await harness.runs()) == 3
    assert harness.files.touched == []
    assert await harness.notification_titles() == [
        "[shop] clear_folder on shop/postgres/main: nothing_to_do (queue_paused)"
    ]


async def test_temporary_reason_of_an_empty_plan_is_not_escalated(harness: EngineHarness) -> None:
    harness.files.empty_reason = "backup_running"
    await harness.deliver()
    await harness.work()
    assert (await harness.last_run()).reason == "backup_running"
    assert await harness.notification_titles() == []


async def test_empty_plan_in_shadow_is_not_escalated(folder: Path) -> None:
    async with engine_harness(
        folder, inventory(mode="shadow"), FolderRemediation(folder, empty_reason="queue_paused")
    ) as harness:
        await harness.deliver()
        await harness.work()
        assert (await harness.last_run()).reason == "queue_paused"
        assert await harness.notification_titles() == []


class CountsBeforeItLists(FolderRemediation):
    """Counts its files before most of them exist."""

    counted = 1

    async def plan(self) -> Plan:
        return replace(await super().plan(), found=self.counted)


@pytest.mark.parametrize("counted", [1, 0, -2])
@pytest.mark.parametrize(
    ("settings", "reason"),
    [({}, "max_items"), ({"max_share": 0.2}, "max_share"), ({"batch": 2, "max_share": 0.2}, "max_share")],
)
async def test_bounds_judge_listed_items_that_were_not_counted(
    folder: Path, settings: dict[str, float], reason: str, counted: int
) -> None:
    files = CountsBeforeItLists(folder)
    files.counted = counted
    async with engine_harness(folder, inventory(**settings), files) as harness:
        harness.files.fill(*("abc" if "max_share" in settings else "abcdef"))
        await harness.deliver()
        await harness.work()
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == (RunState.REFUSED, reason)
        assert harness.files.touched == []


async def test_deferred_run_is_planned_again(folder: Path) -> None:
    """Invariant 8: a run acts on the items present when it acts."""
    async with engine_harness(folder, inventory(min_firing="5m")) as harness:
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
        assert (await harness.last_run()).state is RunState.DEFERRED
        (folder / "a").unlink()
        harness.files.fill("c")
        harness.clock.advance(minutes=6)
        await harness.deliver()
        await harness.work()
        assert harness.files.touched == ["b", "c"]


class _UnknownTarget(FolderRemediation):
    async def plan(self) -> Plan:
        raise TargetUnknown("there is no such files")


async def test_unknown_target_is_refused_and_opens_no_breaker(folder: Path) -> None:
    async with engine_harness(
        folder, inventory(cooldown="0s", max_runs_per_hour=10), _UnknownTarget(folder)
    ) as harness:
        for _ in range(3):
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=1)
        assert {(run.state, run.reason) for run in await harness.runs()} == {(RunState.REFUSED, "unknown_target")}
        assert len(await harness.runs()) == 3
        key = EpisodeKey("shop", "clear_folder", "shop/postgres/main")
        async with harness.context.ledger.read() as connection:
            assert await switches.breaker_reason(connection, key) is None
        preview = await preview_episode(harness.context, key)
        assert (preview.would, preview.reason, preview.detail) == (
            "refused",
            "unknown_target",
            "there is no such files",
        )
