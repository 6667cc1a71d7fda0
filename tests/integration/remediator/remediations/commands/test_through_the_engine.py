"""The engine runs commands from an alert's labels to the record: modes, bounds, approval and crashes."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remediator.engine.engine import Engine
from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from remediator.runs.approval import approve
from tests.integration.remediator.remediations.commands.conftest import LABELS, Machine

Script = Callable[..., str]


async def test_alert_runs_the_command_that_its_target_names(machine: Machine) -> None:
    assert await machine.run() == (RunState.SUCCEEDED, "")
    assert machine.file.exists()
    run = await machine.harness.last_run()
    assert run.target == "shop/commands/flag"
    assert run.evidence["proof"] == {"clean": True, "check": ["as wanted"]}
    assert await machine.item_state() == (ItemState.APPLIED, "ended with 0")


async def test_nothing_is_done_if_everything_is_as_wanted(machine: Machine) -> None:
    machine.file.touch()
    assert await machine.run() == (RunState.NOTHING_TO_DO, "")


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({"mode": "shadow"}, (RunState.SHADOW, "")),
        ({"mode": "off"}, (RunState.REFUSED, "mode_off")),
        ({"min_firing": "1h"}, (RunState.DEFERRED, "min_firing")),
        ({"only_in": "noon"}, (RunState.DEFERRED, "window")),
    ],
)
async def test_bound_stops_the_command(machine: Machine, settings: dict[str, Any], outcome: object) -> None:
    machine.use(**settings)
    machine.harness.clock.advance(hours=2)
    assert await machine.run(starts="2026-03-01T13:59:00Z") == outcome
    assert not machine.file.exists()


async def test_freeze_and_pause_stop_the_command(machine: Machine) -> None:
    await machine.harness.pause()
    assert await machine.run() == (RunState.REFUSED, "kill_switch")
    machine.harness.clock.advance(days=298)
    assert (await machine.run(starts="2026-12-24T11:00:00Z", fingerprint="f2"))[0] is RunState.REFUSED
    assert not machine.file.exists()


async def test_cooldown_holds_back_a_second_run(machine: Machine) -> None:
    await machine.run()
    machine.file.unlink()
    await machine.run()
    assert not machine.file.exists()
    machine.harness.clock.advance(minutes=6)
    await machine.run()
    assert machine.file.exists()


@pytest.mark.parametrize(
    "label", ["$(reboot)", "../flag", "flag\x00", "flag; reboot", "-rf", "FLAG", "", "x" * 900_000]
)
async def test_target_of_an_alert_is_only_looked_up(machine: Machine, label: str) -> None:
    assert await machine.run(target=label) == (RunState.REFUSED, "unknown_target")
    assert not machine.file.exists()


async def test_alert_cannot_set_a_parameter(machine: Machine, script: Script) -> None:
    machine.entry = {
        "argv": [script("exit 0"), "{limit}"],
        "parameters": {"limit": {"type": "int", "min": 0}},
    }
    machine.use()
    assert await machine.run(limit="7") == (RunState.REFUSED, "unknown_target")


async def test_approval_covers_the_command_that_it_has_seen(machine: Machine) -> None:
    machine.use(mode="approve")
    assert await machine.run() == (RunState.AWAITING_APPROVAL, "")
    machine.entry["argv"] = [*machine.entry["argv"], "--and-more"]
    machine.use(mode="approve")
    await approve(machine.harness.context, (await machine.harness.last_run()).id, "oncall")
    assert await machine.run() == (RunState.NOTHING_TO_DO, "changed_since_planned")
    assert not machine.file.exists()


async def test_command_that_changes_nothing_is_ineffective(machine: Machine, script: Script) -> None:
    machine.entry["argv"] = [script("exit 0")]
    machine.use()
    assert await machine.run() == (RunState.INEFFECTIVE, "still_there")
    assert await machine.harness.breakers() == 1


async def test_command_without_a_right_fails_with_its_reason(machine: Machine, script: Script) -> None:
    machine.entry["argv"] = [script("echo 'permission denied' >&2; exit 1")]
    machine.use()
    assert await machine.run() == (RunState.FAILED, "effect_failed")
    state, detail = await machine.item_state()
    assert state is ItemState.FAILED
    assert detail.startswith("ended with 1; it wrote:\npermission denied")


@pytest.mark.parametrize(
    ("has_check", "text"),
    [(True, "But 1 item is still"), (False, "was not read again: nothing tells its state")],
)
async def test_end_of_the_alert_claims_only_what_a_check_shows(
    machine: Machine, script: Script, has_check: bool, text: str
) -> None:
    machine.entry["argv"] = [script("exit 3")]  # a failure notifies a contact
    if not has_check:
        del machine.entry["check"]
    machine.use()
    await machine.run()
    await machine.harness.deliver(**LABELS, status="resolved")
    await machine.harness.work()
    assert text in (await machine.harness.notifications())[-1].body


@pytest.mark.parametrize(
    ("has_check", "begun", "state", "item"),
    [
        (True, True, RunState.INTERRUPTED, ItemState.APPLIED),
        (True, False, RunState.INTERRUPTED, ItemState.NOT_APPLIED),
        (False, True, RunState.UNKNOWN, ItemState.UNKNOWN),
    ],
)
async def test_crash_within_the_command_is_looked_up_and_never_repeated(
    machine: Machine, script: Script, tmp_path: Path, has_check: bool, begun: bool, state: RunState, item: ItemState
) -> None:
    effect = f"touch {machine.file}; " if begun else ""
    machine.entry["argv"] = [script(f"echo x >> {tmp_path}/starts; {effect}sleep 60", "slow")]
    if not has_check:
        del machine.entry["check"]
    machine.use()
    await machine.harness.deliver(**LABELS)
    await machine.harness.engine.tick()
    started = tmp_path / "starts"
    while not (started.exists() and started.stat().st_size) or (begun and not machine.file.exists()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await machine.harness.cut_power()
    await asyncio.sleep(0.1)  # the process group is ended with its task
    machine.harness.engine = Engine(machine.harness.context)
    await machine.harness.work()
    assert (await machine.harness.last_run()).state is state
    assert (await machine.item_state())[0] is item
    assert started.read_text() == "x\n"
