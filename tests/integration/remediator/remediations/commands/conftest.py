"""Scopes of entries of `commands`, a folder of scripts, and what one run of a session does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from remediator.model.remediation import EffectOutcome, Item, Plan, Remediation, Scope, Verdict
from remediator.remediations import REMEDIATIONS


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
