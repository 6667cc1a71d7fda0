"""Runs that operators start: the question, its confirmation, and the bounds that apply."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.ledger import audit, episodes
from remediator.ledger.schema import audit as trail
from remediator.model.errors import InvalidParameter, NoSuchTarget, WrongState
from remediator.model.run_state import RunState
from remediator.runs.approval import approve
from remediator.runs.questions import Answer, Request, ask, confirm
from runbookd.inventory import Freeze, Inventory
from tests.inventory_data import data_of
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import UndoableFolderRemediation

MAIN = "shop/postgres/main"
FREEZE = Freeze.model_validate({"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "reason": "sale"})
ENDED_BY = {"auto": "succeeded", "approve": "succeeded", "shadow": "shadow", "off": "refused"}


@asynccontextmanager
async def harness_of(folder: Path, stacks: Inventory, **files: Any) -> AsyncIterator[EngineHarness]:
    async with engine_harness(folder, stacks, UndoableFolderRemediation(folder, **files)) as harness:
        harness.files.fill("a", "b")
        yield harness


async def question(harness: EngineHarness, operator: str = "oncall", **request: Any) -> Answer:
    return await ask(harness.context, operator, Request(**{"remediation": "clear_folder", "target": MAIN, **request}))


async def start(harness: EngineHarness, operator: str = "oncall", **request: Any) -> None:
    asked = (await question(harness, operator, **request)).question
    await confirm(harness.context, asked.id, operator, asked.plan_hash)


def with_freeze(stacks: Inventory) -> Inventory:
    shop = stacks.stacks["shop"].model_copy(update={"freezes": {"sale": FREEZE}})
    return stacks.model_copy(update={"stacks": {"shop": shop}})


def with_other_approvals(stacks: Inventory) -> Inventory:
    return Inventory.model_validate({**data_of(stacks), "approvals": {"own": False}})


@pytest.mark.parametrize("mode", ENDED_BY)
async def test_confirmed_question_ends_as_its_mode_allows(folder: Path, mode: str) -> None:
    async with harness_of(folder, inventory(mode=mode)) as harness:
        await start(harness, reason="before the deploy")
        await harness.work()
        run = await harness.last_run()
        assert (run.state, run.trigger, run.requested_by) == (ENDED_BY[mode], "operator", "oncall")
        assert (harness.files.names() == []) is (ENDED_BY[mode] == "succeeded")
        async with harness.context.ledger.read() as connection:
            assert (await episodes.get(connection, run.episode)).end_reason == "finished"
            history = [(each.state, each.actor) for each in await audit.history(connection, run.id)]
        assert history[:2] == [("planned", "oncall"), ("confirmed", "oncall")]


async def test_question_shows_items_and_every_bound_and_touches_nothing(folder: Path) -> None:
    async with harness_of(folder, inventory()) as harness:
        asked = await question(harness)
        assert [item.identity["name"] for item in asked.plan.items] == ["a", "b"]
        assert {"kill_switch", "max_items", "rate", "window"} <= asked.decision.judgements.keys()
        await harness.work()
        assert await harness.runs() == []


async def test_run_started_while_its_alert_is_found_due_is_the_only_one(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    among = harness.engine._joined_alerts.among

    async def confirm_then_plan(*arguments: Any) -> Any:
        await confirm(harness.context, asked.id, "oncall", asked.plan_hash)
        return await among(*arguments)

    harness.files.fill("a")
    asked = (await question(harness)).question
    await harness.deliver()
    monkeypatch.setattr(harness.engine._joined_alerts, "among", confirm_then_plan)
    await harness.engine.tick()
    monkeypatch.undo()
    await harness.work()
    assert [(run.trigger, run.state) for run in await harness.runs()] == [("operator", "succeeded")]


async def test_run_touches_only_the_items_of_its_question(folder: Path) -> None:
    async with harness_of(folder, inventory()) as harness:
        asked = (await question(harness)).question
        harness.files.fill("newer")
        (folder / "a").unlink()
        await confirm(harness.context, asked.id, "oncall", asked.plan_hash)
        await harness.work()
        assert harness.files.touched == ["b"]
        assert harness.files.names() == ["newer"]


async def test_used_old_foreign_and_changed_questions_are_refused(folder: Path) -> None:
    async with harness_of(folder, inventory()) as harness:
        asked = (await question(harness)).question
        for operator, plan_hash, problem in (
            ("dba", asked.plan_hash, "another operator"),
            ("oncall", "0", "plan_hash"),
        ):
            with pytest.raises(WrongState, match=problem):
                await confirm(harness.context, asked.id, operator, plan_hash)
        await confirm(harness.context, asked.id, "oncall", asked.plan_hash)
        await harness.work()
        with pytest.raises(WrongState, match="became run 1"):
            await confirm(harness.context, asked.id, "oncall", asked.plan_hash)
        late = (await question(harness)).question
        for moved in (timedelta(minutes=10), timedelta(seconds=-1)):
            harness.clock.at = late.asked_at + moved
            with pytest.raises(WrongState, match="expired"):
                await confirm(harness.context, late.id, "oncall", late.plan_hash)
        assert len(await harness.runs()) == 1


async def test_of_two_confirmations_at_once_one_starts_a_run(folder: Path) -> None:
    async with harness_of(folder, inventory()) as harness:
        asked = (await question(harness)).question
        calls = [confirm(harness.context, asked.id, "oncall", asked.plan_hash) for _ in range(5)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(each, WrongState) for each in results) == 4
        await harness.work()
        assert [run.state for run in await harness.runs()] == [RunState.SUCCEEDED]


async def test_second_question_about_a_busy_target_is_refused(folder: Path) -> None:
    async with harness_of(folder, inventory()) as harness:
        await start(harness)
        with pytest.raises(WrongState, match="run 1 of clear_folder on shop/postgres/main is planned"):
            await start(harness)


async def test_parameters_are_typed_hashed_and_reach_the_remediation(folder: Path) -> None:
    async with harness_of(folder, inventory()) as harness:
        plain = (await question(harness)).question
        await start(harness, parameters={"for": "90s"})
        await harness.work()
        assert isinstance(harness.files, UndoableFolderRemediation)
        assert {tuple(scope.parameters.items()) for scope in harness.files.scopes[1:]} == {
            (("for", timedelta(seconds=90)),)
        }
        run = await harness.last_run()
        assert run.parameters == {"for": "1m30s"}
        assert run.plan_hash != plain.plan_hash


@pytest.mark.parametrize("text", ["$(reboot)", "\x00", "../a", "-rf", "a" * 2**20, "a b", ""])
async def test_hostile_parameter_is_refused_and_nothing_is_read(folder: Path, text: str) -> None:
    async with harness_of(folder, inventory()) as harness:
        with pytest.raises(InvalidParameter):
            await question(harness, parameters={"suffix": text})
        assert harness.files.open_count == 0


@pytest.mark.parametrize("target", ["shop/postgres/none", "$(id)/postgres/main", "shop/queues/main", "../shop", "\x00"])
async def test_target_outside_the_inventory_is_refused(folder: Path, target: str) -> None:
    async with harness_of(folder, inventory()) as harness:
        with pytest.raises(NoSuchTarget):
            await question(harness, target=target)


async def test_target_without_its_kind_is_found(folder: Path) -> None:
    async with harness_of(folder, inventory()) as harness:
        assert (await question(harness, target="shop/main")).question.target == MAIN


async def test_nothing_about_confirmations_or_storms_stops_the_run(folder: Path) -> None:
    """The run waits for its approval longer than an alert may: no vanishing, no age, no storm ends it."""
    async with harness_of(folder, with_other_approvals(inventory(mode="approve", min_firing="1h"))) as harness:
        await start(harness)
        await harness.work()
        harness.clock.advance(minutes=30)
        await harness.run_vanished_checks()
        for number in range(7):
            await harness.deliver(target=f"other{number}", fingerprint=str(number))
        await approve(harness.context, 1, "dba")
        await harness.work()
        assert (await harness.runs())[0].state is RunState.SUCCEEDED


async def test_deferred_run_is_judged_again_when_its_time_has_come(folder: Path) -> None:
    async with harness_of(folder, inventory(cooldown="5m")) as harness:
        await start(harness)
        await harness.work()
        harness.files.fill("c")
        await start(harness)
        await harness.work()
        assert (await harness.last_run()).state is RunState.DEFERRED
        harness.clock.advance(minutes=5)
        await harness.work()
        assert (await harness.last_run()).state is RunState.SUCCEEDED


@pytest.mark.parametrize(("only_adds", "state"), [(False, RunState.REFUSED), (True, RunState.SUCCEEDED)])
async def test_freeze_refuses_all_but_what_only_adds(folder: Path, only_adds: bool, state: RunState) -> None:
    async with harness_of(folder, with_freeze(inventory()), only_adds=only_adds) as harness:
        await start(harness)
        await harness.work()
        assert (await harness.last_run()).state is state


async def test_pause_refuses_the_run(folder: Path) -> None:
    async with harness_of(folder, inventory()) as harness:
        await harness.pause()
        await start(harness)
        await harness.work()
        run = await harness.last_run()
        assert (run.state, run.reason, harness.files.touched) == (RunState.REFUSED, "kill_switch", [])


async def test_run_joins_the_open_episode_of_an_alert_and_replaces_its_deferred_run(folder: Path) -> None:
    async with harness_of(folder, inventory(min_firing="1h")) as harness:
        await harness.deliver()
        await harness.work()
        await start(harness)
        await harness.work()
        deferred, started = await harness.runs()
        assert (deferred.state, deferred.reason) == (RunState.CANCELLED, "superseded")
        assert (started.state, started.episode) == (RunState.SUCCEEDED, deferred.episode)
        async with harness.context.ledger.read() as connection:
            assert (await episodes.get(connection, started.episode)).ended_at is None


async def test_alert_that_joins_the_episode_of_a_run_counts_from_its_own_start(folder: Path) -> None:
    async with harness_of(folder, with_other_approvals(inventory(mode="approve"))) as harness:
        await start(harness)
        await harness.work()
        harness.clock.advance(minutes=30)
        await harness.deliver(starts=harness.clock.now().isoformat())
        await harness.work()
        run = await harness.last_run()
        async with harness.context.ledger.read() as connection:
            episode = await episodes.get(connection, run.episode)
        assert episode.firing_since > START + timedelta(minutes=29)


async def test_starter_cannot_approve_where_another_operator_has_to(folder: Path) -> None:
    async with harness_of(folder, with_other_approvals(inventory(mode="approve"))) as harness:
        await start(harness)
        await harness.work()
        assert (await harness.last_run()).state is RunState.AWAITING_APPROVAL
        with pytest.raises(WrongState, match="another operator has to approve"):
            await approve(harness.context, 1, "oncall")
        await approve(harness.context, 1, "dba")
        await harness.work()
        assert (await harness.last_run()).state is RunState.SUCCEEDED


async def test_failed_run_of_an_operator_opens_the_breaker_and_names_the_operator(folder: Path) -> None:
    async with harness_of(folder, inventory(verify_within="0s"), refill=True) as harness:
        await start(harness)
        await harness.work()
        assert (await harness.last_run()).state is RunState.INEFFECTIVE
        assert await harness.breakers() == 1
        message = (await harness.notifications())[0]
        assert "started by oncall" in message.body
        async with harness.context.ledger.read() as connection:
            actors = (await connection.execute(trail.select().where(trail.c.event == "confirmed"))).all()
        assert [row.actor for row in actors] == ["oncall"]
