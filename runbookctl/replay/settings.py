"""The settings under which a past is replayed: the inventory's, with mode auto where it can be, and with changes."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from remediator.config_check import remediation_findings
from remediator.model.remediation import Remediation
from remediator.model.target import settings_of
from remediator.remediations import REMEDIATIONS
from runbookctl.errors import WrongUsage
from runbookctl.inventory_changes import read_changes
from runbookd.inventory import Change, Inventory, Mode, RemediationSettings, Stack, load_inventory
from runbookd.inventory.suggest import suggest
from runbookd.service.check import NO_INVENTORY

# The keys that decide what a plan lists. The sizes of the past are those of the settings of their time.
KEYS_OF_PLANS = frozenset({"older_than", "younger_than", "protect", "terminate", "deny_reasons"})
ROOTS = ("alertmanager", "limits", "stacks")  # the keys whose values a replay depends on
ReplayedMode = Literal["auto", "inventory"]


def load_settings(file: Path | None, texts: Sequence[str] = (), mode: ReplayedMode = "inventory") -> Inventory:
    """Load the inventory with the changes of --set, for a replay in `mode`.

    Raises:
        WrongUsage: no inventory is given, or a change is none.
        InventoryError: the inventory or a changed value cannot be used.
    """
    present = _load(file)
    if not texts:
        return present
    changes = read_changes(texts)
    for change in changes:
        _require_known(change, present)
    changed = _load(file, changes)
    known = {finding.path for finding in remediation_findings(present)}
    new = [each for each in remediation_findings(changed) if each.path not in known]
    if new:
        raise WrongUsage("\n".join(f"--set: {'.'.join(each.path)}: {each.reason}" for each in new))
    for change in changes:
        _require_replayed(change, present, mode)
    return changed


def plan_notes(texts: Sequence[str]) -> Sequence[str]:
    """Return a note that names the changes of --set that the known sizes of plans do not follow."""
    paths = [change.path for change in read_changes(texts)]
    if shaping := [".".join(path) for path in paths if KEYS_OF_PLANS.intersection(path[4:5])]:
        return [f"{', '.join(shaping)}: the sizes of past plans do not follow it, so the two replays differ too little"]
    return []


def as_replayed(inventory: Inventory, mode: ReplayedMode) -> Inventory:
    """Return the inventory with each mode as it is replayed.

    `auto` asks what would have happened: shadow and approve become auto, or approve where auto is refused. Off stays.
    """
    if mode == "inventory":
        return inventory
    stacks = {name: _stack_in_auto(stack) for name, stack in inventory.stacks.items()}
    return inventory.model_copy(update={"stacks": stacks})


def _stack_in_auto(stack: Stack) -> Stack:
    settings: Mapping[str, RemediationSettings] = {
        name: _in_auto(settings_of(stack, name), each) for name, each in REMEDIATIONS.items() if not each.reads_only
    }
    return stack.model_copy(update={"remediations": {**stack.remediations, **settings}})


def _in_auto(settings: RemediationSettings, remediation: Remediation) -> RemediationSettings:
    if settings.mode is Mode.OFF:
        return settings
    may_be_auto = not remediation.never_auto and all(
        getattr(settings, key) is not None for key in remediation.auto_needs
    )
    return settings.model_copy(update={"mode": Mode.AUTO if may_be_auto else Mode.APPROVE})


def _load(file: Path | None, changes: Sequence[Change] = ()) -> Inventory:
    inventory = load_inventory(file, os.environ, changes)
    if inventory is None:
        raise WrongUsage(NO_INVENTORY)
    return inventory


def _require_known(change: Change, inventory: Inventory) -> None:
    """Refuse a path that would add a stack or a remediation: it would change nothing that is replayed."""
    path, place = change.path, change.place
    if path[0] not in ROOTS:
        raise WrongUsage(f"{place}: a replay does not depend on {path[0]!r}{suggest(path[0], ROOTS)}")
    if path[0] != "stacks":
        return
    if len(path) < 3 or path[2:] == ("remediations",):
        raise WrongUsage(f"{place}: replaces too much; set one key, as stacks.STACK.remediations.REMEDIATION.KEY=VALUE")
    if path[1] not in inventory.stacks:
        raise WrongUsage(f"{place}: there is no stack {path[1]!r}{suggest(path[1], inventory.stacks)}")
    if path[2] == "remediations" and path[3] not in REMEDIATIONS:
        raise WrongUsage(f"{place}: there is no remediation {path[3]!r}{suggest(path[3], REMEDIATIONS)}")


def _require_replayed(change: Change, inventory: Inventory, mode: ReplayedMode) -> None:
    """Refuse a mode that `as_replayed` would replace: both replays would be the same, as if the mode did not matter."""
    if mode == "inventory" or change.path[2:3] + change.path[4:] != ("remediations", "mode"):
        return
    is_off = settings_of(inventory.stacks[change.path[1]], change.path[3]).mode is Mode.OFF
    if not is_off and change.value not in (Mode.OFF, False):
        raise WrongUsage(f"{change.place}: replaced by --mode auto, as each mode but off; add --mode inventory")
