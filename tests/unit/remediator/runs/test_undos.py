"""The undo of a run: by an operator, after a duration, and when the episode is over."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.ledger import planned_undos
from remediator.ledger.audit_verify import verify_trail
from remediator.ledger.schema import audit as trail
from remediator.model.errors import WrongState
from remediator.model.remediation import Scope, UndoWhen
from remediator.model.run_state import RunState
from remediator.runs.questions import Request, ask, confirm
from remediator.runs.undos import start_due_undos
from runbookd.inventory import Freeze
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation, UndoableFolderRemediation, no_fault

HOUR = timedelta(hours=1)


@asynccontextmanager
async def harness_of(
    folder: Path, when: Callable[[Scope], UndoWhen | None] = lambda _: None, **settings: Any
) -> AsyncIterator[EngineHarness]:
    files = UndoableFolderRemediation(folder, undo_when=when)
    async with engine_harness(folder, inventory(**settings), files) as harness:
        files.fill("a", "b")
        yield harness


async def start(harness: EngineHarness, **request: Any) -> None:
    request = request or {"remediation": "clear_folder", "target": "shop/postgres/main"}
    asked = (await ask(harness.context, "oncall", Request(**request))).question
    await confirm(harness.context, asked.id, "oncall", asked.plan_hash)
    await harness.work()


def after_an_hour(_: Scope) -> UndoWhen:
    return UndoWhen(HOUR)


def with_episode(_: Scope) -> UndoWhen:
    return UndoWhen()


async def states(harness: EngineHarness) -> list[tuple[str, str, int | None]]:
    return [(run.state, run.trigger, run.undoes) for run in await harness.runs()]


async def test_operator_undoes_a_run_at_once_and_only_once(folder: Path) -> None:
    async with harness_of(folder, cooldown="1h") as harness:
        await start(harness)
        await start(harness, undoes=1)
        assert await states(harness) == [("succeeded", "operator", None), ("succeeded", "operator", 1)]
        assert harness.files.names() == ["a", "b"]
        for number, problem in ((1, "run 2, which undoes run 1, is succeeded"), (2, "cannot be undone")):
            with pytest.raises(WrongState, match=problem):
                await ask(harness.context, "oncall", Request(undoes=number))


async def test_run_without_an_exact_undo_is_not_undone(folder: Path) -> None:
    files = FolderRemediation(folder)
    async with engine_harness(folder, inventory(), files) as harness:
        files.fill("a")
        await start(harness)
        with pytest.raises(WrongState, match="A removed file is gone"):
            await ask(harness.context, "oncall", Request(undoes=1))


async def test_effects_end_after_their_duration_although_the_remediator_crashed(folder: Path) -> None:
    async with harness_of(folder, after_an_hour) as harness:
        await start(harness)
        harness.clock.advance(minutes=59)
        await harness.work()
        assert len(await harness.runs()) == 1
        await harness.cut_power()
        harness.clock.advance(minutes=2)
        await harness.work()
        await harness.work()
        assert await states(harness) == [("succeeded", "operator", None), ("succeeded", "end", 1)]
        assert harness.files.names() == ["a", "b"]
        async with harness.context.ledger.read() as connection:
            events = [row.event for row in await connection.execute(trail.select().order_by(trail.c.id))]
        assert events.index("undo_planned") < events.index("undo_closed")
        assert (await verify_trail(harness.context.ledger.read)).first_break is None


async def test_effects_end_with_their_episode(folder: Path) -> None:
    async with harness_of(folder, with_episode) as harness:
        await harness.deliver()
        await harness.work()
        assert await states(harness) == [("succeeded", "alert", None)]
        await harness.deliver(status="resolved")
        await harness.work()
        assert await states(harness) == [("succeeded", "alert", None), ("succeeded", "end", 1)]
        assert harness.files.names() == ["a", "b"]


async def test_run_of_an_operator_without_an_alert_stays(folder: Path) -> None:
    async with harness_of(folder, with_episode) as harness:
        await start(harness)
        await harness.work()
        assert len(await harness.runs()) == 1


async def test_end_waits_for_the_end_of_a_pause(folder: Path) -> None:
    async with harness_of(folder, after_an_hour) as harness:
        await start(harness)
        await harness.pause()
        harness.clock.advance(hours=2)
        await harness.work()
        assert len(await harness.runs()) == 1


async def test_operators_undo_replaces_the_planned_one(folder: Path) -> None:
    async with harness_of(folder, after_an_hour) as harness:
        await start(harness)
        await start(harness, undoes=1)
        harness.clock.advance(hours=2)
        await harness.work()
        assert [run[1] for run in await states(harness)] == ["operator", "operator"]


async def test_end_in_mode_approve_needs_no_second_approval(folder: Path) -> None:
    async with harness_of(folder, after_an_hour, mode="approve") as harness:
        await start(harness)
        harness.clock.advance(hours=1)
        await harness.work()
        assert (await states(harness))[-1] == ("succeeded", "end", 1)


async def test_failing_end_is_tried_again_until_the_breaker_opens_and_escalated(folder: Path) -> None:
    async with harness_of(folder, after_an_hour) as harness:
        await start(harness)
        harness.files.reachable = False
        for _ in range(4):
            harness.clock.advance(hours=1)
            await harness.work()
            harness.clock.advance(minutes=5)
            await harness.work()
        ends = [run for run in await harness.runs() if run.trigger == "end"]
        assert {run.state for run in ends} == {RunState.FAILED}
        assert len(ends) > 1
        assert "until it succeeds, that run's effects stay" in (await harness.notifications())[0].body
        harness.files.reachable = True
        harness.clock.advance(minutes=5)
        await harness.work()
        last = (await harness.runs())[-1]
        assert (last.state, last.reason) == (RunState.REFUSED, "breaker")
        count = len(await harness.runs())
        harness.clock.advance(hours=5)
        await harness.work()
        assert len(await harness.runs()) == count, "an operator closes the breaker and undoes it"


async def test_end_that_fails_while_it_is_found_due_waits_for_its_next_try(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two failures at once would open the breaker."""
    due_undos = planned_undos.due_undos

    async def read_then_fail(*arguments: Any) -> Any:
        found = await due_undos(*arguments)
        monkeypatch.undo()
        await harness.work()
        return found

    async with harness_of(folder, after_an_hour) as harness:
        await start(harness)
        harness.files.reachable = False
        harness.clock.advance(hours=1)
        monkeypatch.setattr(planned_undos, "due_undos", read_then_fail)
        await start_due_undos(harness.context)
        assert [run[:2] for run in await states(harness)][1:] == [("failed", "end")]


async def test_effects_that_cannot_end_because_a_reload_removed_their_target_are_escalated(folder: Path) -> None:
    async with harness_of(folder, after_an_hour) as harness:

        async def rename() -> None:
            shop = harness.context.inventory.stacks["shop"]
            renamed = shop.model_copy(update={"postgres": {"primary": shop.postgres["main"]}})
            harness.context.inventory = harness.context.inventory.model_copy(update={"stacks": {"shop": renamed}})
            harness.files.after = no_fault

        harness.files.after = rename
        await start(harness)
        await harness.work()
        assert [run[:2] for run in await states(harness)] == [("succeeded", "operator"), ("refused", "end")]
        assert "that run's effects stay" in (await harness.notifications())[0].body


async def test_end_refused_by_a_passing_bound_is_tried_again_and_escalated_once(folder: Path) -> None:
    async with harness_of(folder, after_an_hour) as harness:
        await start(harness)
        harness.clock.advance(hours=1)
        freeze = Freeze.model_validate({"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"})
        free = harness.context.inventory
        shop = free.stacks["shop"].model_copy(update={"freezes": {"sale": freeze}})

        async def freeze_now() -> None:
            harness.context.inventory = free.model_copy(update={"stacks": {"shop": shop}})

        for _ in range(2):
            harness.context.inventory = free
            await start_due_undos(harness.context)
            await freeze_now()
            await harness.work()
            harness.clock.advance(minutes=5)
        harness.context.inventory = free
        await harness.work()
        ends = [(run.state, run.reason) for run in await harness.runs() if run.trigger == "end"]
        assert ends == [("refused", "freeze")] * 2 + [("succeeded", "")]
        assert len(await harness.notifications()) == 1
