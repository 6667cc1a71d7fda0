"""An operator starts a command with a parameter; its end undoes it, also after a crash."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from remediator.context import Context
from remediator.ledger.address import ledger_at
from remediator.model.errors import InvalidParameter
from remediator.model.run_state import RunState
from remediator.remediations import REMEDIATIONS
from remediator.runs.questions import Answer, Request, ask, confirm
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, ManualClock
from tests.unit.remediator.folder_remediation import FolderRemediation

Script = Callable[..., str]


@pytest.fixture
async def harness(tmp_path: Path, script: Script) -> AsyncIterator[EngineHarness]:
    entry = {
        "argv": [script(f'touch "{tmp_path}/$1"', "raise"), "{level}"],
        "check": [script(f'test -e "{tmp_path}/$1"', "check"), "{level}"],
        "undo": [script(f'rm "{tmp_path}/$1"', "lower"), "{level}"],
        "for": "1h",
        "parameters": {"level": {"type": "name"}},
    }
    run_command = {"mode": "approve", "settle": "0s", "verify_within": "0s"}
    stack = {"commands": {"limit": entry}, "remediations": {"run_command": run_command}}
    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        clock = ManualClock()
        context = Context(Inventory.model_validate({"stacks": {"shop": stack}}), ledger, clock, REMEDIATIONS, None)
        yield EngineHarness(context, FolderRemediation(tmp_path), clock)


async def question(harness: EngineHarness, **parameters: str) -> Answer:
    return await ask(harness.context, "oncall", Request("run_command", "shop/limit", parameters))


async def test_command_of_an_operator_ends_by_itself(harness: EngineHarness, tmp_path: Path) -> None:
    asked = (await question(harness, level="high")).question
    await confirm(harness.context, asked.id, "oncall", asked.plan_hash)
    await harness.work()
    assert (tmp_path / "high").exists()
    await harness.cut_power()
    harness.clock.advance(hours=1)
    await harness.work()
    ends: list[Any] = [(run.state, run.trigger, run.undoes) for run in await harness.runs()]
    assert ends == [(RunState.SUCCEEDED, "operator", None), (RunState.SUCCEEDED, "end", 1)]
    assert not (tmp_path / "high").exists()


@pytest.mark.parametrize("parameters", [{}, {"level": "$(id)"}, {"level": "-rf"}, {"level": "../x"}, {"size": "1"}])
async def test_unusable_parameter_of_a_command_is_refused(harness: EngineHarness, parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        await question(harness, **parameters)
