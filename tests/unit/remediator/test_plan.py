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
from tests.unit.remediator.conftest import Bench, bench_with, inventory
from tests.unit.remediator.shelf import Shelf


async def titles(bench: Bench) -> list[str]:
    async with bench.world.ledger.read() as connection:
        return [row.title for row in await connection.execute(select(outbox.c.title).order_by(outbox.c.id))]


async def again(bench: Bench) -> None:
    await bench.deliver(status="resolved")
    await bench.work()
    await bench.deliver(starts=bench.clock.now().isoformat())
    await bench.work()


@pytest.fixture
async def remembering(folder: Path) -> AsyncIterator[Bench]:
    shelf = Shelf(folder, remembers=timedelta(days=7))
    async with bench_with(folder, inventory(cooldown="0s", max_runs_per_hour=10), shelf) as bench:
        yield bench


async def test_a_plan_knows_what_was_touched_within_the_time_it_remembers(remembering: Bench) -> None:
    remembering.shelf.fill("a")
    await remembering.deliver()
    await remembering.work()
    assert remembering.shelf.touched == ["a"]
    remembering.clock.turn(days=6)
    await again(remembering)
    assert remembering.shelf.seen_touched == [{"name": "a"}]
    remembering.clock.turn(days=1, minutes=1)
    await again(remembering)
    assert remembering.shelf.seen_touched == []


async def test_what_was_only_planned_was_not_touched(remembering: Bench) -> None:
    remembering.shelf.fill(*"abcdef")  # more than max_items
    await remembering.deliver()
    await remembering.work()
    assert (await remembering.last()).state is RunState.REFUSED
    remembering.clock.turn(minutes=10)
    await again(remembering)
    assert remembering.shelf.seen_touched == []


async def test_a_plan_with_a_reason_touches_nothing_and_is_told_once_an_episode(bench: Bench) -> None:
    bench.shelf.fill("a")
    bench.shelf.because = "queue_paused"
    for _ in range(3):
        await bench.deliver()
        await bench.work()
        bench.clock.turn(minutes=6)
    assert {(run.state, run.reason) for run in await bench.runs()} == {(RunState.NOTHING_TO_DO, "queue_paused")}
    assert len(await bench.runs()) == 3
    assert bench.shelf.touched == []
    assert await titles(bench) == ["[shop] clear_shelf on shop/postgres/main: nothing_to_do (queue_paused)"]


async def test_what_passes_by_itself_is_not_told(bench: Bench) -> None:
    bench.shelf.because = "backup_running"
    await bench.deliver()
    await bench.work()
    assert (await bench.last()).reason == "backup_running"
    assert await titles(bench) == []


async def test_in_shadow_nobody_is_told(folder: Path) -> None:
    async with bench_with(folder, inventory(mode="shadow"), Shelf(folder, because="queue_paused")) as bench:
        await bench.deliver()
        await bench.work()
        assert (await bench.last()).reason == "queue_paused"
        assert await titles(bench) == []


class CountsBeforeItLists(Shelf):
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
    async with bench_with(folder, inventory(**settings), shelf) as bench:
        bench.shelf.fill(*("abc" if "max_share" in settings else "abcdef"))
        await bench.deliver()
        await bench.work()
        assert ((await bench.last()).state, (await bench.last()).reason) == (RunState.REFUSED, reason)
        assert bench.shelf.touched == []


async def test_a_deferred_run_is_planned_anew(folder: Path) -> None:
    """Invariant 8: what it acts on is what is there when it acts."""
    async with bench_with(folder, inventory(min_firing="5m")) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        assert (await bench.last()).state is RunState.DEFERRED
        (folder / "a").unlink()
        bench.shelf.fill("c")
        bench.clock.turn(minutes=6)
        await bench.deliver()
        await bench.work()
        assert bench.shelf.touched == ["b", "c"]


class _Nowhere(Shelf):
    async def plan(self) -> Plan:
        raise TargetUnknown("there is no such shelf")


async def test_what_the_target_does_not_have_is_refused_and_opens_no_breaker(folder: Path) -> None:
    async with bench_with(folder, inventory(cooldown="0s", max_runs_per_hour=10), _Nowhere(folder)) as bench:
        for _ in range(3):
            await bench.deliver()
            await bench.work()
            bench.clock.turn(minutes=1)
        assert {(run.state, run.reason) for run in await bench.runs()} == {(RunState.REFUSED, "unknown_target")}
        assert len(await bench.runs()) == 3
        key = EpisodeKey("shop", "clear_shelf", "shop/postgres/main")
        async with bench.world.ledger.read() as connection:
            assert await switches.breaker_reason(connection, key) is None
        seen = await preview_episode(bench.world, key)
        assert (seen.would, seen.reason, seen.detail) == ("refused", "unknown_target", "there is no such shelf")
