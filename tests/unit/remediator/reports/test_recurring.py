"""A problem that comes back becomes a finding: its times, its causes, and the text of its permanent fix."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import Item, PermanentFix, Verdict
from remediator.reports import recurring as reading
from remediator.reports.recurring import RecurringProblem, causes_of, recurring_problem_of, recurring_problems
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import ROTATE, FolderRemediation
from tests.unit.remediator.runs.test_undos import harness_of, start


async def problems(harness: EngineHarness) -> Sequence[RecurringProblem]:
    async with harness.context.ledger.read() as connection:
        return await recurring_problems(connection, harness.context)


async def _clean(_items: Sequence[Item]) -> Verdict:
    return Verdict(True)


async def happen(harness: EngineHarness, *files: str, hours: float = 5, **alert: Any) -> None:
    """Play one episode: the files appear, the alert fires, is worked on, and is over."""
    harness.files.fill(*files)
    await harness.deliver(**alert)
    await harness.work()
    await harness.deliver(status="resolved", ends="2026-03-01T12:10:00Z", **alert)
    await harness.work()
    harness.clock.advance(hours=hours)


async def test_problem_that_came_three_times_in_a_week_is_a_finding_with_its_causes_and_fix(
    harness: EngineHarness,
) -> None:
    await happen(harness, "billing")
    await happen(harness, "billing", "mail")
    assert await problems(harness) == []
    await happen(harness, "billing")
    [found] = await problems(harness)
    causes = [Cause({"name": "billing", "size": "7"}, 3), Cause({"name": "mail", "size": "4"}, 1)]
    assert (found.stack, found.remediation, found.target) == ("shop", "clear_folder", "shop/postgres/main")
    assert (found.times, found.acted, found.limit, found.items) == (3, 3, 3, 4)
    assert found.runs == [3, 2, 1]
    assert found.causes == causes
    assert found.fix == Fix(
        "Rotate the files of shop/postgres/main.", "name billing, size 7\nname mail, size 4", "shell"
    )


async def test_what_is_over_a_week_old_does_not_count(harness: EngineHarness) -> None:
    await happen(harness, "a", hours=24 * 6)
    await happen(harness, "a", hours=23)
    await happen(harness, "a", hours=0)
    assert len(await problems(harness)) == 1
    harness.clock.advance(hours=2)
    assert await problems(harness) == []


async def test_plans_of_one_shadow_episode_count_once(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="shadow")) as harness:
        harness.files.fill("a")
        for _ in range(5):
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=6)
        assert len(await harness.runs()) == 5
        assert await problems(harness) == []
        for _ in range(3):
            await happen(harness, "a")
        [found] = await problems(harness)
        assert (found.times, found.acted) == (3, 0)


async def test_repair_that_was_clean_and_was_needed_once_more_in_one_episode_counts_each_time(
    harness: EngineHarness,
) -> None:
    for _ in range(3):
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        harness.clock.advance(minutes=6)
    assert {run.episode for run in await harness.runs()} == {1}
    assert [each.times for each in await problems(harness)] == [3]


async def test_batches_of_one_problem_count_once(folder: Path) -> None:
    async with engine_harness(folder, inventory(batch=1, max_items=9, max_runs_per_hour=9)) as harness:
        harness.files.verify = _clean  # type: ignore[method-assign]
        harness.files.fill("a", "b", "c", "d")
        for _ in range(4):
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=6)
        assert [run.found for run in await harness.runs()] == [4, 3, 2, 1]
        assert {run.state for run in await harness.runs()} == {"succeeded"}
        for _ in range(2):
            assert await problems(harness) == []
            await happen(harness, "a")


@pytest.mark.parametrize("state", ["ineffective", "refused"])
async def test_problem_that_was_never_repaired_counts_once_an_episode(folder: Path, state: str) -> None:
    stacks = inventory(max_items=1) if state == "refused" else inventory(verify_within="0s")
    async with engine_harness(folder, stacks) as harness:
        harness.files.refill = state == "ineffective"
        harness.files.fill("a", "b")
        for _ in range(4):
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=6)
        assert state in {run.state for run in await harness.runs()}
        assert await problems(harness) == []


async def test_inventory_may_set_another_number(folder: Path) -> None:
    async with engine_harness(folder, inventory(recurring_after=2)) as harness:
        await happen(harness, "a")
        await happen(harness, "a")
        assert [(each.times, each.limit) for each in await problems(harness)] == [(2, 2)]


async def test_run_says_the_how_manyth_time_it_was_when_it_was_planned(harness: EngineHarness) -> None:
    for _ in range(4):
        await happen(harness, "a")
    async with harness.context.ledger.read() as connection:
        found = [await recurring_problem_of(connection, harness.context, run) for run in await harness.runs()]
    assert [each and (each.ordinal, list(each.runs)) for each in found] == [
        None,
        None,
        ("3rd", [3, 2, 1]),
        ("4th", [4, 3, 2, 1]),
    ]


async def test_run_that_waits_for_approval_counts_itself(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve", recurring_after=2)) as harness:
        await happen(harness, "a")
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        run = await harness.last_run()
        assert run.finished_at is None
        async with harness.context.ledger.read() as connection:
            found = await recurring_problem_of(connection, harness.context, run)
        assert found is not None
        assert found.ordinal == "2nd"


@pytest.mark.parametrize(("by_hand", "times"), [(False, []), (True, [3])])
async def test_operators_starts_count_only_where_no_alert_starts_anything(
    folder: Path, by_hand: bool, times: list[int]
) -> None:
    files = FolderRemediation(folder, permanent_fix=replace(ROTATE, by_hand=by_hand))
    async with engine_harness(folder, inventory(), files) as harness:
        for _ in range(3):
            files.fill("a")
            await start(harness)
            harness.clock.advance(hours=1)
        assert [run.state for run in await harness.runs()] == ["succeeded"] * 3
        assert [each.times for each in await problems(harness)] == times


async def test_operators_start_while_the_alert_fires_is_one_of_its_times(harness: EngineHarness) -> None:
    for act in (harness.deliver, lambda: start(harness), harness.deliver):
        harness.files.fill("a")
        await act()
        await harness.work()
        harness.clock.advance(minutes=6)
    assert [run.trigger for run in await harness.runs()] == ["alert", "operator", "alert"]
    assert [each.times for each in await problems(harness)] == [3]


async def test_undo_is_not_one_more_time(folder: Path) -> None:
    async with harness_of(folder, recurring_after=2) as harness:
        await start(harness)
        await start(harness, undoes=1)
        assert [run.undoes for run in await harness.runs()] == [None, 1]
        assert await problems(harness) == []


async def test_slow_reading_is_used_again_by_frequent_readers(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "monotonic", clock := FakeMonotonic())

    async def found(*, is_frequent: bool) -> int:
        async with harness.context.ledger.read() as connection:
            return len(await recurring_problems(connection, harness.context, is_frequent=is_frequent))

    for _ in range(2):
        await happen(harness, "a")
    assert await found(is_frequent=True) == 0
    await happen(harness, "a")
    clock.at += 45
    assert await found(is_frequent=True) == 0
    clock.at += 10
    assert await found(is_frequent=True) == 1
    clock.at = 0
    await happen(harness, "a")
    assert (await problems(harness))[0].times == 4


class FakeMonotonic:
    """A clock by which every reading takes half a second."""

    at = 0.0

    def __call__(self) -> float:
        self.at += 0.5
        return self.at


def test_values_that_may_be_personal_are_masked_and_names_are_not() -> None:
    declared = PermanentFix(lambda *_: Fix("Fix it."), names=("role",), traits=("application",), numbers=("dead",))
    item = Item({"pid": 7}, {"role": "svc@project.iam", "application": "psql of anna@example.com", "dead": 4})
    other = Item({"pid": 8}, {"role": "svc@project.iam", "application": "psql of anna@example.com", "dead": "3"})
    assert causes_of(declared, [item, other, Item({}, {"client_address": "192.0.2.7"})]) == [
        Cause({"role": "svc@project.iam", "application": "psql of <email>"}, 2, {"dead": 3})
    ]
