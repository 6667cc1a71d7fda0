"""A reload while runs are under way, and what it changes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from remediator.engine.run_driver import resolve_target_of
from remediator.escalation.acknowledge import acknowledge
from remediator.ledger import runs, switches
from remediator.ledger.schema import audit
from remediator.model.errors import LedgerUnavailable, OperatorRemoved
from remediator.model.remediation import RemediationSession, Scope
from remediator.model.run_state import RunState
from remediator.reload import InventorySwap
from remediator.runs.approval import approve, withdraw_approvals
from remediator.server.bearer_tokens import BearerTokens
from runbookd.inventory import Freeze, Inventory, InventoryError
from runbookd.inventory.model import Operator
from runbookd.service import ReloadFailed
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import no_fault
from tests.unit.remediator.polling import becomes


def with_operators(stacks: Inventory, *names: str) -> Inventory:
    return stacks.model_copy(update={"operators": {name: Operator(token_file=Path("/none")) for name in names}})


def with_shop(stacks: Inventory, **changes: Any) -> Inventory:
    return stacks.model_copy(update={"stacks": {"shop": stacks.stacks["shop"].model_copy(update=changes)}})


async def reload(harness: EngineHarness, stacks: Inventory) -> str:
    return await InventorySwap(harness.context, BearerTokens({}, "{}"), harness.engine.wake).apply(stacks, "dba")


async def hold_first_effect(harness: EngineHarness) -> tuple[asyncio.Event, asyncio.Event]:
    """Let the run begin; return the event with which its first effect began, and the one that releases it."""
    began, released = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        began.set()
        await released.wait()

    harness.files.before = hold
    await harness.deliver()
    await harness.engine.tick()
    async with asyncio.timeout(60):
        await began.wait()
    return began, released


async def state_of_last_run(harness: EngineHarness) -> RunState:
    return (await harness.last_run()).state


async def trail(harness: EngineHarness, event: str) -> Sequence[Any]:
    async with harness.context.ledger.read() as connection:
        return (await connection.execute(select(audit).where(audit.c.event == event).order_by(audit.c.id))).all()


@pytest.mark.parametrize("mode", ["off", "shadow", "approve"])
async def test_run_planned_under_the_previous_inventory_is_judged_by_the_new_one(folder: Path, mode: str) -> None:
    async with engine_harness(folder, inventory()) as harness:
        harness.files.fill("a")

        async def reload_once() -> None:
            harness.files.before_plan = no_fault
            await reload(harness, inventory(mode=mode))

        harness.files.before_plan = reload_once
        await harness.deliver()
        await harness.work()
        states = {"off": "refused", "shadow": "shadow", "approve": "awaiting_approval"}
        assert [run.state for run in await harness.runs()] == [states[mode]]
        assert harness.files.touched == []


@pytest.mark.parametrize(
    "changed",
    [
        inventory(mode="off", verify_within="0s", batch=1),
        with_shop(inventory(), postgres={}),
        Inventory.model_validate({"stacks": {"mail": {}}}),
    ],
    ids=["off", "no target", "no stack"],
)
async def test_run_under_way_keeps_its_target_and_settings(folder: Path, changed: Inventory) -> None:
    async with engine_harness(folder, inventory()) as harness:
        harness.files.fill("a", "b")
        _, released = await hold_first_effect(harness)
        await reload(harness, changed)
        released.set()
        await harness.work()
        run = await harness.last_run()
        assert (run.state, harness.files.touched) == ("succeeded", ["a", "b"])
        assert run.settings is not None
        assert run.settings["mode"] == "auto"


async def test_new_freeze_stops_a_run_under_way(folder: Path) -> None:
    async with engine_harness(folder, inventory()) as harness:
        harness.files.fill("a", "b")
        _, released = await hold_first_effect(harness)
        freeze = Freeze.model_validate({"from": START, "to": START.replace(year=2030)})
        await reload(harness, with_shop(inventory(), freezes={"now": freeze}))
        released.set()
        await harness.work()
        assert ((await harness.last_run()).reason, harness.files.touched) == ("freeze", ["a"])


async def test_proof_after_a_restart_uses_the_settings_of_the_row(folder: Path) -> None:
    """With the new settings, the proof would wait for an hour before it reads."""
    async with engine_harness(folder, inventory()) as harness:
        harness.files.fill("a")
        _, released = await hold_first_effect(harness)
        harness.files.before_reading = asyncio.Event().wait  # type: ignore[assignment]
        released.set()
        await becomes(lambda: state_of_last_run(harness), "verifying")
        await harness.cut_power()
        harness.files.before_reading = harness.files.after
        await reload(harness, inventory(settle="1h"))
        async with asyncio.timeout(60):
            await harness.work()
        assert (await harness.last_run()).state == "succeeded"


async def test_settings_of_another_release_do_not_stop_a_proof(folder: Path) -> None:
    async with engine_harness(folder, inventory()) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work(1)
        run = await harness.last_run()
    unreadable = replace(run, state=RunState.VERIFYING, settings={"gone": 1})
    assert resolve_target_of(harness.context, unreadable) == resolve_target_of(
        harness.context, replace(run, settings=None)
    )


async def test_acknowledgement_of_an_operator_who_left_ends_and_contacts_learn_of_it(folder: Path) -> None:
    stacks = inventory(mode="approve")
    async with engine_harness(folder, with_operators(stacks, "oncall", "dba")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        await acknowledge(harness.context, 1, "oncall")
        await reload(harness, with_operators(stacks, "oncall"))
        assert [row.detail["reason"] for row in await trail(harness, "acknowledgement_ended")] == []
        await reload(harness, with_operators(stacks, "dba"))
        ended = [row.detail["reason"] for row in await trail(harness, "acknowledgement_ended")]
        assert ended == ["oncall is no longer an operator"]
        assert "no longer acknowledged" in (await harness.notification_titles())[-1]


async def test_answer_names_a_paused_stack_that_has_another_name_now(folder: Path) -> None:
    stacks = inventory()
    async with engine_harness(folder, stacks) as harness:
        async with harness.context.ledger.write() as connection:
            await switches.pause_now(connection, START, "oncall", "looking", "shop", None)
        warning = "paused, but no longer in the inventory: shop; pause a stack again that has another name now\n"
        assert warning not in await reload(harness, inventory(mode="shadow"))
        assert warning in await reload(harness, stacks.model_copy(update={"stacks": {"store": stacks.stacks["shop"]}}))


async def test_approval_of_an_operator_who_left_ends(folder: Path) -> None:
    approving = with_operators(inventory(mode="approve"), "oncall", "dba")
    async with engine_harness(folder, approving) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        run = await harness.last_run()
        await approve(harness.context, run.id, "oncall")
        answer = await reload(harness, with_operators(inventory(mode="approve"), "dba"))
        assert f"approvals ended, because their operator left: runs {run.id}; approve them again\n" in answer
        await harness.work()
        run = await harness.last_run()
        assert (run.state, run.approved_by, harness.files.touched) == ("awaiting_approval", None, [])
        [row] = await trail(harness, "approval_withdrawn")
        assert (row.run, row.actor, row.detail) == (run.id, "dba", {"approved_by": "oncall"})
        await approve(harness.context, run.id, "dba")
        await harness.work()
        assert ((await harness.last_run()).state, harness.files.touched) == ("succeeded", ["a"])


async def test_run_admitted_by_an_operator_who_leaves_before_its_first_effect_does_not_begin_it(folder: Path) -> None:
    async with engine_harness(folder, with_operators(inventory(mode="approve"), "oncall", "dba")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        await approve(harness.context, (await harness.last_run()).id, "oncall")
        remediation = harness.files.remediation()

        @asynccontextmanager
        async def open_slowly(scope: Scope) -> AsyncIterator[RemediationSession]:
            harness.context.remediations = {"clear_folder": remediation}
            assert (await harness.last_run()).state == "admitted"
            await reload(harness, with_operators(inventory(mode="approve"), "dba"))
            async with remediation.open(scope) as session:
                yield session

        harness.context.remediations = {"clear_folder": replace(remediation, open=open_slowly)}
        await harness.work()
        assert ((await harness.last_run()).state, harness.files.touched) == ("awaiting_approval", [])


async def test_run_that_was_read_with_the_withdrawn_approval_is_not_admitted(folder: Path) -> None:
    approving = with_operators(inventory(mode="approve"), "oncall")
    async with engine_harness(folder, approving) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        await approve(harness.context, (await harness.last_run()).id, "oncall")
        approved_run = await harness.last_run()
        harness.context.inventory = with_operators(approving)
        async with harness.context.ledger.write() as connection:
            assert await withdraw_approvals(connection, harness.context, "dba") == [approved_run.id]
        await harness.engine.driver.drive(approved_run)
        assert ((await harness.last_run()).state, harness.files.touched) == ("awaiting_approval", [])


async def test_request_of_an_operator_who_has_just_left_is_refused(folder: Path) -> None:
    """The request was authenticated before the reload, and got the ledger after it."""
    async with engine_harness(folder, with_operators(inventory(mode="approve"), "oncall", "dba")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        await reload(harness, with_operators(inventory(mode="approve"), "dba"))
        with pytest.raises(OperatorRemoved):
            await approve(harness.context, (await harness.last_run()).id, "oncall")
        await reload(harness, with_operators(inventory(mode="approve"), "oncall"))
        await approve(harness.context, (await harness.last_run()).id, "oncall")


async def test_deferred_run_is_judged_by_the_new_bounds_at_the_next_delivery(folder: Path) -> None:
    async with engine_harness(folder, inventory(min_firing="30m")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        await harness.deliver()
        await harness.work()
        assert (await harness.last_run()).state == "deferred"
        await reload(harness, inventory())
        await harness.work()
        assert (await harness.last_run()).state == "succeeded"


async def test_reload_that_the_ledger_cannot_record_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = with_operators(inventory(), "oncall")
    async with engine_harness(folder, before) as harness:

        async def no_disk(*_: object) -> None:
            raise LedgerUnavailable("the ledger: disk full")

        monkeypatch.setattr(runs, "end_waits", no_disk)
        with pytest.raises(ReloadFailed, match="disk full; reload again once the ledger is available"):
            await reload(harness, inventory(mode="off"))
        assert harness.context.inventory is before
        harness.context.require_operator("oncall")
        assert await trail(harness, "reloaded") == []


async def test_inventory_without_stacks_is_refused_as_half_written(folder: Path) -> None:
    async with engine_harness(folder, inventory()) as harness:
        with pytest.raises(InventoryError, match="stacks: the new inventory names no stack and may be half written"):
            await reload(harness, Inventory())
        assert harness.context.inventory.stacks


async def test_audit_row_names_the_changed_keys_up_to_a_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.reload.MAX_KEYS", 2)
    async with engine_harness(folder, inventory()) as harness:
        await reload(harness, inventory(mode="off", batch=2, cooldown="1h"))
        await reload(harness, harness.context.inventory)
        shop = "stacks.shop.remediations.clear_folder"
        assert [(row.actor, row.detail) for row in await trail(harness, "reloaded")] == [
            ("dba", {"changed": [f"{shop}.mode", f"{shop}.batch"], "more": 1}),
            ("dba", {"changed": []}),
        ]
