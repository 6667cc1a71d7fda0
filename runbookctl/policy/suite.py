"""Reads files of cases, and the inventory of each case; a mistake is reported with its line and the nearest name."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediator.config_check import remediation_findings
from runbookctl.policy.file_format import Case, PolicyFile
from runbookctl.policy.names import name_problems
from runbookctl.policy.order import order_problems
from runbookd.inventory import (
    Change,
    Inventory,
    InventoryError,
    PlacedBlock,
    Problem,
    load_inventory,
    read_placed_block,
)
from runbookd.inventory.suggest import suggest
from runbookd.inventory.yaml_places import KeyPath
from runbookd.visible import is_visible_file


@dataclass(frozen=True)
class ReadyCase:
    """A case without a mistake, with the inventory that it is played with."""

    source: PlacedBlock[PolicyFile]
    number: int
    inventory: Inventory
    reloaded: Mapping[int, Inventory]
    """The inventories of the events that reload it, by their place in the case."""

    @property
    def case(self) -> Case:
        """The case as the file has it."""
        return self.source.block.cases[self.number]

    @property
    def line(self) -> int:
        """The line at which the case begins."""
        return int(self.source.place_of("cases", self.number).rpartition(":")[2])

    def place_of(self, *path: str | int) -> str:
        """Return the `file:line` of a key or entry of the case."""
        return self.source.place_of("cases", self.number, *path)


@dataclass(frozen=True)
class Substitutes:
    """The inventory and the keys that the command line puts in place of those of the files."""

    inventory: Path | None = None
    changes: Sequence[Change] = ()


def read_suite(file: Path, substitutes: Substitutes = Substitutes()) -> Sequence[ReadyCase]:
    """Return the cases in `file`.

    Raises:
        InventoryError: lists every mistake in the file, and in the inventory as each case changes it.
    """
    source = read_placed_block(file, PolicyFile)
    problems = [*_duplicate_names(source), *order_problems(source)]
    cases, inventories = [], _Inventories(source, substitutes)
    for number in range(len(source.block.cases)):
        try:
            ready = inventories.ready(number)
        except InventoryError as error:
            problems += error.problems
            continue
        cases.append(ready)
        problems += name_problems(source, number, ready.inventory)
    if problems:
        raise InventoryError(list(dict.fromkeys(problems)))
    return cases


def _duplicate_names(source: PlacedBlock[PolicyFile]) -> Iterator[Problem]:
    seen: Counter[str] = Counter()
    for number, case in enumerate(source.block.cases):
        seen[case.name] += 1
        if seen[case.name] > 1:
            yield source.problem(("cases", number, "name"), f"another case has the name {case.name!r}; choose another")


class _Inventories:
    """The inventories of one file, each loaded once for all cases that change the same keys."""

    def __init__(self, source: PlacedBlock[PolicyFile], substitutes: Substitutes) -> None:
        self._source = source
        self._substitutes = substitutes
        self._file = substitutes.inventory or source.file.parent / source.block.inventory
        self._loaded: dict[str, Inventory] = {}

    def ready(self, number: int) -> ReadyCase:
        """Return a case with its inventories.

        Raises:
            InventoryError: one of them cannot be used.
        """
        case = self._source.block.cases[number]
        changes = [
            *self._changes_at(("set",), self._source.block.changes),
            *self._changes_at(("cases", number, "set"), case.changes),
            *self._substitutes.changes,
        ]
        inventory, reloaded = self._load(changes), {}
        for place, event in enumerate(case.events):
            if event.reload is not None:
                changes += self._changes_at(("cases", number, "events", place, "reload"), event.reload)
                reloaded[place] = self._load(changes)
        return ReadyCase(self._source, number, inventory, reloaded)

    def _changes_at(self, path: KeyPath, changes: Mapping[str, Any]) -> Iterator[Change]:
        for key, value in changes.items():
            yield Change(tuple(key.split(".")), value, self._source.place_of(*path, key))

    def _load(self, changes: Sequence[Change]) -> Inventory:
        """Return the inventory with these changes, loaded once for all cases that make the same."""
        if changes and (added := list(self._added_stacks(changes))):
            raise InventoryError(added)
        key = repr([(each.path, each.value) for each in changes])
        if key not in self._loaded:
            self._loaded[key] = self._load_anew(changes)
        return self._loaded[key]

    def _load_anew(self, changes: Sequence[Change]) -> Inventory:
        if not is_visible_file(self._file):
            reason = f"there is no file {self._file}; name the inventory that you test"
            raise InventoryError([self._source.problem(("inventory",), reason)])
        inventory = load_inventory(self._file, os.environ, changes)
        if inventory is None or not inventory.stacks:
            raise InventoryError([Problem(str(self._file), "", "has no stack; nothing can be tested")])
        if refused := list(self._refused(inventory, changes)):
            raise InventoryError(refused)
        return inventory

    def _added_stacks(self, changes: Sequence[Change]) -> Iterator[Problem]:
        """Yield a problem for each change of a stack that the file lacks: it would change nothing that is played."""
        stacks = self._load([]).stacks
        for each in changes:
            if each.path[0] == "stacks" and (len(each.path) < 2 or each.path[1] not in stacks):
                name = each.path[1] if len(each.path) > 1 else ""
                reason = f"the inventory has no stack {name!r}{suggest(name, stacks)}"
                yield Problem(each.place, ".".join(each.path), reason)

    def _refused(self, inventory: Inventory, changes: Sequence[Change]) -> Iterable[Problem]:
        """Yield why the remediator would refuse to start with the inventory."""
        for finding in remediation_findings(inventory):
            around = [
                each.place for each in changes if each.path[: len(finding.path)] == finding.path[: len(each.path)]
            ]
            yield Problem(around[-1] if around else str(self._file), ".".join(finding.path), finding.reason)
