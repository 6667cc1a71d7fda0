"""The targets of a case: what its plans say that a remediation finds, less what its runs have touched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from remediator.model.episode_key import EpisodeKey
from remediator.model.remediation import DeclaredBound, Item, ItemState
from remediator.simulation.targets import Effect, Reading
from runbookctl.policy.file_format import Case, Plan
from runbookctl.policy.subjects import plans_of, stack_of
from runbookd.inventory import Inventory

MAX_LISTED = 1_000  # items of a plan, as a remediation lists them: the number that it found may be larger
_STATES = {
    "works": ItemState.APPLIED,
    "does_nothing": ItemState.APPLIED,
    "fails": ItemState.FAILED,
    "unknown": ItemState.UNKNOWN,
}


@dataclass
class _Contents:
    """The items that a plan of the case has put on a target, by their identity, oldest first."""

    plan: Plan
    items: dict[str, Item]
    removed: dict[str, Item] = field(default_factory=dict)
    restored: set[str] = field(default_factory=set)

    def is_as_planned(self, item: Item) -> bool:
        """Return whether a run finds the item: one to remove, or to restore for a run that undoes another."""
        return _identity(item) in self.items or _identity(item) in self.removed

    def touch(self, items: Sequence[Item]) -> None:
        """Remove items, or restore those that were removed."""
        for identity in map(_identity, items):
            if identity in self.items:
                self.removed[identity] = self.items.pop(identity)
                self.restored.discard(identity)
            elif identity in self.removed:
                self.items[identity] = self.removed.pop(identity)
                self.restored.add(identity)

    def is_clean_of(self, item: Item) -> bool:
        return _identity(item) not in self.items or _identity(item) in self.restored


class CaseTargets:
    """See SimulatedTargets."""

    def __init__(self, case: Case, inventory: Inventory) -> None:
        self._case = case
        self._inventory = inventory
        self._contents: dict[tuple[EpisodeKey, timedelta], _Contents] = {}
        self._serial = 0

    def read(self, remediation: str, target: str, at: datetime) -> Reading:
        """See SimulatedTargets. A remediation that only reads needs no plan."""
        contents = self._contents_at(remediation, target, at)
        if contents is None:
            return Reading(found=1, items=(Item({"part": target}),))
        if contents.plan.unreachable:
            return Reading(error=f"{target} does not answer: the case says so")
        listed = tuple(contents.items.values())[:MAX_LISTED]
        return Reading(len(contents.items), listed, contents.plan.of)

    def effect(self, remediation: str, target: str, items: Sequence[Item], at: datetime) -> Effect:
        """See SimulatedTargets. An item that is not as planned is skipped."""
        contents = self._contents_at(remediation, target, at)
        if contents is None:
            return Effect()
        plan, untouched = contents.plan, ItemState.SKIPPED
        return Effect(
            states=[_STATES[plan.effect] if contents.is_as_planned(each) else untouched for each in items],
            seconds=plan.takes.total_seconds(),
            is_clean=all(contents.is_clean_of(each) for each in items),
            lookup=ItemState(plan.after_a_crash),
            happen=partial(contents.touch, items if plan.effect == "works" else ()),
        )

    def surroundings(self, stack: str, at: datetime) -> Mapping[DeclaredBound, Sequence[str]]:
        """See SimulatedTargets."""
        reasons: dict[DeclaredBound, list[str]] = {}
        for each in self._case.conditions:
            is_over = each.until is not None and each.until <= at - self._case.start
            if stack_of(each.stack, self._inventory) == stack and each.since <= at - self._case.start and not is_over:
                reasons.setdefault(each.bound, []).append(each.reason)
        return reasons

    def _contents_at(self, remediation: str, target: str, at: datetime) -> _Contents | None:
        """Return what the newest plan for the target has put there, or None if the case has none for it."""
        key = EpisodeKey(target.partition("/")[0], remediation, target)
        due = [each for each in plans_of(self._case, key, self._inventory) if each.at <= at - self._case.start]
        if not due:
            return None
        if (key, due[-1].at) not in self._contents:
            self._contents[key, due[-1].at] = self._new_contents(due[-1])
        return self._contents[key, due[-1].at]

    def _new_contents(self, plan: Plan) -> _Contents:
        """Return the items of a plan; those that the case only counts get numbers that no other plan has."""
        identities = plan.items.identities
        if identities is None:
            identities = [{"item": self._serial + number + 1} for number in range(plan.items.count)]
            self._serial += plan.items.count
        items = [Item(each) for each in identities]
        return _Contents(plan, {_identity(each): each for each in items})


def _identity(item: Item) -> str:
    return repr(sorted(item.identity.items()))
