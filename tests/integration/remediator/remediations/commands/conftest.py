"""Scopes of entries of `commands`, a folder of scripts, and what one run of a session does."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from remediator.context import Context
from remediator.ledger.address import ledger_at
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan, Remediation, Scope, Verdict
from remediator.model.run_state import RunState
from remediator.remediations import REMEDIATIONS
from remediator.runs.questions import Answer, Request, ask, confirm
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, ManualClock
from tests.unit.remediator.folder_remediation import FolderRemediation

LABELS = {"remediation": "run_command", "target": "flag"}


@dataclass(frozen=True)
class Entry:
    """One entry of `commands`, as an operator or an alert would start it."""

    remediation: Remediation
    scope: Scope

    def started_with(self, **parameters: object) -> "Entry":
        return replace(self, scope=replace(self.scope, parameters=parameters))

    def undoing(self, *items: Item) -> "Entry":
        return replace(self, scope=replace(self.scope, undoes=items))

    async def plan(self) -> Plan:
        async with self.remediation.open(self.scope) as session:
            return await session.plan()

    async def apply(self, items: Sequence[Item]) -> EffectOutcome:
        async with self.remediation.open(self.scope) as session:
            [outcome] = await session.apply(items)
            return outcome

    async def do(self) -> EffectOutcome:
        """Plan and apply."""
        return await self.apply((await self.plan()).items)

    async def look_up(self, items: Sequence[Item]) -> EffectOutcome:
        async with self.remediation.open(self.scope) as session:
            [outcome] = await session.resolve_outcome(items)
            return outcome

    async def verify(self, items: Sequence[Item]) -> Verdict:
        async with self.remediation.open(self.scope) as session:
            return await session.verify(items)


EntryOf = Callable[..., Entry]
Script = Callable[..., str]


@pytest.fixture
def entry_of(scope_of: Any) -> EntryOf:
    """Make the entry `flag` of the stack `shop`."""

    def make(settings: Mapping[str, Any]) -> Entry:
        name = "run_command" if "argv" in settings else "http_call"
        return Entry(REMEDIATIONS[name], scope_of("commands", stack={"commands": {"flag": settings}}, name="flag"))

    return make


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    def make(text: str, name: str = "script") -> str:
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return str(file)

    return make


class Machine:
    """An engine whose stack has one command, and the file that the command makes."""

    def __init__(self, harness: EngineHarness, entry: dict[str, Any], file: Path) -> None:
        self.harness, self.entry, self.file = harness, entry, file

    def use(self, **settings: Any) -> None:
        remediation = {"mode": "auto", "settle": "0s", "verify_within": "0s", **settings}
        stack = {
            "commands": {"flag": self.entry},
            "remediations": {"run_command": remediation},
            "freezes": {"launch": {"from": "2026-12-24T00:00:00Z", "to": "2026-12-25T00:00:00Z", "reason": "launch"}},
            "windows": {"noon": {"days": ["sun"], "from": "12:00", "to": "12:30"}},
        }
        inventory = Inventory.model_validate({"contacts": {"oncall": {"url": "json://x"}}, "stacks": {"shop": stack}})
        self.harness.context.inventory = inventory

    async def run(self, **labels: Any) -> tuple[RunState, str]:
        await self.harness.deliver(**{**LABELS, **labels})
        await self.harness.work()
        run = await self.harness.last_run()
        return run.state, run.reason

    async def ask(self, **request: Any) -> Answer:
        asked = request or {"remediation": "run_command", "target": "shop/commands/flag"}
        return await ask(self.harness.context, "oncall", Request(**asked))

    async def start(self, **request: Any) -> tuple[RunState, str]:
        """Start a run as an operator does."""
        question = (await self.ask(**request)).question
        await confirm(self.harness.context, question.id, "oncall", question.plan_hash)
        await self.harness.work()
        run = await self.harness.last_run()
        return run.state, run.reason

    async def item_state(self) -> tuple[ItemState, str]:
        [item] = await self.harness.items(await self.harness.last_run())
        return item.state, item.detail


@pytest.fixture
async def machine(tmp_path: Path, script: Script) -> AsyncIterator[Machine]:
    file = tmp_path / "on"
    entry = {"argv": [script(f"touch {file}", "on_script")], "check": [script(f"test -e {file}", "check")]}
    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        clock = ManualClock()
        context = Context(Inventory.model_validate({}), ledger, clock, REMEDIATIONS, None)
        machine = Machine(EngineHarness(context, FolderRemediation(tmp_path), clock), entry, file)
        machine.use()
        yield machine
