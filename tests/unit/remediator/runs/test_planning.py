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


async def fire_again(bench: EngineHarness) -> None:
    await bench.deliver(status="resolved")
    await bench.work()
    await bench.deliver(starts=bench.clock.now().isoformat())
    await bench.work()


@pytest.fixture
async def lookback_bench(folder: Path) -> AsyncIterator[EngineHarness]:
    shelf = FolderRemediation(folder, lookback=timedelta(days=7))
    async with engine_harness(folder, inventory(cooldown="0s", max_runs_per_hour=10), shelf) as bench:
        yield bench


async def test_plan_receives_the_items_touched_within_its_lookback(lookback_bench: EngineHarness) -> None:
    lookback_bench.shelf.fill("a")
    await lookback_bench.deliver()
    await lookback_bench.work()
    assert lookback_bench.shelf.touched == ["a"]
    lookback_bench.clock.advance(days=6)
    await fire_again(lookback_bench)
    assert lookback_bench.shelf.touched_items == [{"name": "a"}]
    lookback_bench.clock.advance(days=1, minutes=1)
    await fire_again(lookback_bench)
    assert lookback_bench.shelf.touched_items == []


async def test_items_only_planned_do_not_count_as_touched(lookback_bench: EngineHarness) -> None:
    lookback_bench.shelf.fill(*"abcdef")  # more than max_items
    await lookback_bench.deliver()
    await lookback_bench.work()
    assert (await lookback_bench.last_run()).state is RunState.REFUSED
    lookback_bench.clock.advance(minutes=10)
    await fire_again(lookback_bench)
    assert lookback_bench.shelf.touched_items == []


async def test_empty_plan_with_a_reason_is_escalated_once_per_episode(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    bench.shelf.empty_reason = "queue_paused"
    for _ in range(3):
        await bench.deliver()
        await bench.work()
        bench.clock.advance(minutes=6)
    assert {(run.state, run.reason) for run in await bench.runs()} == {(RunState.NOTHING_TO_DO, "queue_paused")}
    assert len(await bench.runs()) == 3
    assert bench.shelf.touched == []
    assert await bench.notification_titles() == [
        "[shop] clear_shelf on shop/postgres/main: nothing_to_do (queue_paused)"
    ]


async def test_temporary_reason_of_an_empty_plan_is_not_escalated(bench: EngineHarness) -> None:
    bench.shelf.empty_reason = "backup_running"
    await bench.deliver()
    await bench.work()
    assert (await bench.last_run()).reason == "backup_running"
    assert await bench.notification_titles() == []


async def test_empty_plan_in_shadow_is_not_escalated(folder: Path) -> None:
    async with engine_harness(
        folder, inventory(mode="shadow"), FolderRemediation(folder, empty_reason="queue_paused")
    ) as bench:
        await bench.deliver()
        await bench.work()
        assert (await bench.last_run()).reason == "queue_paused"
        assert await bench.notification_titles() == []


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
    shelf = CountsBeforeItLists(folder)
    shelf.counted = counted
    async with engine_harness(folder, inventory(**settings), shelf) as bench:
        bench.shelf.fill(*("abc" if "max_share" in settings else "abcdef"))
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == (RunState.REFUSED, reason)
        assert bench.shelf.touched == []


async def test_deferred_run_is_planned_again(folder: Path) -> None:
    """Invariant 8: a run acts on the items present when it acts."""
    async with engine_harness(folder, inventory(min_firing="5m")) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        assert (await bench.last_run()).state is RunState.DEFERRED
        (folder / "a").unlink()
        bench.shelf.fill("c")
        bench.clock.advance(minutes=6)
        await bench.deliver()
        await bench.work()
        assert bench.shelf.touched == ["b", "c"]


class _UnknownTarget(FolderRemediation):
    async def plan(self) -> Plan:
        raise TargetUnknown("there is no such shelf")


async def test_unknown_target_is_refused_and_opens_no_breaker(folder: Path) -> None:
    async with engine_harness(folder, inventory(cooldown="0s", max_runs_per_hour=10), _UnknownTarget(folder)) as bench:
        for _ in range(3):
            await bench.deliver()
            await bench.work()
            bench.clock.advance(minutes=1)
        assert {(run.state, run.reason) for run in await bench.runs()} == {(RunState.REFUSED, "unknown_target")}
        assert len(await bench.runs()) == 3
        key = EpisodeKey("shop", "clear_shelf", "shop/postgres/main")
        async with bench.context.ledger.read() as connection:
            assert await switches.breaker_reason(connection, key) is None
        preview = await preview_episode(bench.context, key)
        assert (preview.would, preview.reason, preview.detail) == (
            "refused",
            "unknown_target",
            "there is no such shelf",
        )
