"""What a plan knows of earlier runs, and what becomes of one that says why nothing is to be touched."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from remediator.ledger import switches
from remediator.ledger.schema import outbox
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import TargetUnknown
from remediator.model.remediation import Plan
from remediator.model.run_state import RunState
from remediator.server.dry_run import preview_episode
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation


async def titles(bench: EngineHarness) -> list[str]:
    async with bench.context.ledger.read() as connection:
        return [row.title for row in await connection.execute(select(outbox.c.title).order_by(outbox.c.id))]


async def fire_again(bench: EngineHarness) -> None:
    await bench.deliver(status="resolved")
    await bench.work()
    await bench.deliver(starts=bench.clock.now().isoformat())
    await bench.work()


@pytest.fixture
async def remembering(folder: Path) -> AsyncIterator[EngineHarness]:
    shelf = FolderRemediation(folder, remembers=timedelta(days=7))
    async with engine_harness(folder, inventory(cooldown="0s", max_runs_per_hour=10), shelf) as bench:
        yield bench


async def test_a_plan_knows_what_was_touched_within_the_time_it_remembers(remembering: EngineHarness) -> None:
    remembering.shelf.fill("a")
    await remembering.deliver()
    await remembering.work()
    assert remembering.shelf.touched == ["a"]
    remembering.clock.advance(days=6)
    await fire_again(remembering)
    assert remembering.shelf.seen_touched == [{"name": "a"}]
    remembering.clock.advance(days=1, minutes=1)
    await fire_again(remembering)
    assert remembering.shelf.seen_touched == []


async def test_what_was_only_planned_was_not_touched(remembering: EngineHarness) -> None:
    remembering.shelf.fill(*"abcdef")  # more than max_items
    await remembering.deliver()
    await remembering.work()
    assert (await remembering.last_run()).state is RunState.REFUSED
    remembering.clock.advance(minutes=10)
    await fire_again(remembering)
    assert remembering.shelf.seen_touched == []


async def test_a_plan_with_a_reason_touches_nothing_and_is_told_once_an_episode(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    bench.shelf.because = "queue_paused"
    for _ in range(3):
        await bench.deliver()
        await bench.work()
        bench.clock.advance(minutes=6)
    assert {(run.state, run.reason) for run in await bench.runs()} == {(RunState.NOTHING_TO_DO, "queue_paused")}
    assert len(await bench.runs()) == 3
    assert bench.shelf.touched == []
    assert await titles(bench) == ["[shop] clear_shelf on shop/postgres/main: nothing_to_do (queue_paused)"]


async def test_what_passes_by_itself_is_not_told(bench: EngineHarness) -> None:
    bench.shelf.because = "backup_running"
    await bench.deliver()
    await bench.work()
    assert (await bench.last_run()).reason == "backup_running"
    assert await titles(bench) == []


async def test_in_shadow_nobody_is_told(folder: Path) -> None:
    async with engine_harness(
        folder, inventory(mode="shadow"), FolderRemediation(folder, because="queue_paused")
    ) as bench:
        await bench.deliver()
        await bench.work()
        assert (await bench.last_run()).reason == "queue_paused"
        assert await titles(bench) == []


class CountsBeforeItLists(FolderRemediation):
    """Most of its files came after they were counted."""

    counted = 1

    async def plan(self) -> Plan:
        return replace(await super().plan(), found=self.counted)


@pytest.mark.parametrize("counted", [1, 0, -2])
@pytest.mark.parametrize(
    ("settings", "reason"),
    [({}, "max_items"), ({"max_share": 0.2}, "max_share"), ({"batch": 2, "max_share": 0.2}, "max_share")],
)
async def test_what_is_listed_counts_even_if_it_was_not_counted(
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


async def test_a_deferred_run_is_planned_anew(folder: Path) -> None:
    """Invariant 8: what it acts on is what is there when it acts."""
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


async def test_what_the_target_does_not_have_is_refused_and_opens_no_breaker(folder: Path) -> None:
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
        seen = await preview_episode(bench.context, key)
        assert (seen.would, seen.reason, seen.detail) == ("refused", "unknown_target", "there is no such shelf")
