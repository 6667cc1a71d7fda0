"""Commands that operators start: with parameters, with an undo, and with an end that survives a restart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from remediator.model.errors import InvalidParameter, TargetUnreachable, WrongState
from remediator.model.run_state import RunState
from tests.integration.remediator.remediations.commands.conftest import Machine

Script = Callable[..., str]
Limit = Callable[[], str]
SET = {"remediation": "run_command", "target": "shop/commands/flag"}


@pytest.fixture
def limit(machine: Machine, tmp_path: Path, script: Script) -> Limit:
    """Make the command a limit that an operator raises, which is the content of a file."""
    file = tmp_path / "limit"
    file.write_text("100\n")
    machine.entry = {
        "argv": [script(f'echo "$1" > {file}', "set"), "{limit}"],
        "check": [script(f'grep -qx -- "$1" {file}', "is"), "{limit}"],
        "undo": [script(f"echo 100 > {file}", "reset"), "{limit}"],
        "for": "2h",
        "parameters": {"limit": {"type": "int", "min": 100, "max": 400}},
    }
    machine.use(mode="approve")
    return lambda: file.read_text().strip()


async def test_operator_sets_a_value_and_the_end_undoes_it_after_a_restart(machine: Machine, limit: Limit) -> None:
    answer = await machine.ask(**SET, parameters={"limit": "300"})
    assert answer.plan.items[0].evidence["argv"][1:] == ["300"]
    assert answer.plan.items[0].evidence["ends_after"] == "2h"
    assert answer.target.declaration.undo.kind == "exact"
    assert await machine.start(**SET, parameters={"limit": "300"}) == (RunState.SUCCEEDED, "")
    assert limit() == "300"
    await machine.harness.cut_power()
    machine.harness.clock.advance(hours=2, minutes=1)
    await machine.harness.work()
    await machine.harness.work()
    assert limit() == "100"
    run = await machine.harness.last_run()
    assert (run.state, run.trigger, run.undoes) == (RunState.SUCCEEDED, "end", 1)


async def test_operator_undoes_it_earlier(machine: Machine, limit: Limit) -> None:
    await machine.start(**SET, parameters={"limit": "300"})
    assert await machine.start(undoes=1) == (RunState.SUCCEEDED, "")
    assert limit() == "100"
    machine.harness.clock.advance(hours=3)
    await machine.harness.work()
    assert len(await machine.harness.runs()) == 2


@pytest.mark.parametrize("value", ["99", "401", "-1", "$(reboot)", "1;2", "", "3" * 1_000_000, "300\x00", "0x12c"])
async def test_value_that_is_not_allowed_is_refused(machine: Machine, limit: Limit, value: str) -> None:
    with pytest.raises(InvalidParameter, match="limit"):
        await machine.ask(**SET, parameters={"limit": value})
    assert limit() == "100"


@pytest.mark.parametrize(
    ("parameters", "problem"), [({}, "needs the parameter limit"), ({"limit": "300", "x": "1"}, "no parameter 'x'")]
)
async def test_missing_and_unknown_parameters_are_named(machine: Machine, limit: Limit, parameters, problem) -> None:
    with pytest.raises(InvalidParameter, match=problem):
        await machine.ask(**SET, parameters=parameters)


async def test_freeze_refuses_what_an_operator_starts(machine: Machine, limit: Limit) -> None:
    machine.harness.clock.advance(days=298)
    assert await machine.start(**SET, parameters={"limit": "300"}) == (RunState.REFUSED, "freeze")


async def test_shadow_shows_and_does_nothing(machine: Machine, limit: Limit) -> None:
    machine.use(mode="shadow")
    assert await machine.start(**SET, parameters={"limit": "300"}) == (RunState.SHADOW, "")
    assert limit() == "100"


async def test_entry_without_undo_cannot_be_undone(machine: Machine) -> None:
    await machine.start()
    with pytest.raises(WrongState, match="The entry has no undo"):
        await machine.ask(undoes=1)


async def test_undo_that_was_removed_fails_with_its_reason(machine: Machine, limit: Limit) -> None:
    await machine.start(**SET, parameters={"limit": "300"})
    del machine.entry["undo"], machine.entry["for"]
    machine.use(mode="approve")
    with pytest.raises((WrongState, TargetUnreachable), match="undo"):
        await machine.ask(undoes=1)


async def test_program_that_is_missing_is_named_before_the_question(machine: Machine, tmp_path: Path) -> None:
    machine.entry["argv"] = [f"{tmp_path}/missing"]
    machine.use()
    with pytest.raises(TargetUnreachable, match="missing is no program"):
        await machine.ask()
