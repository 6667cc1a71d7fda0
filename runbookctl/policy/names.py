"""Finds names in a case that its inventory does not have: a misspelt one would make a test that proves nothing."""

from collections.abc import Iterable, Iterator, Sequence

from remediator.bounds.bounds import DEFERRALS, REFUSALS
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import InvalidParameter
from remediator.model.parameters import parse_parameters
from remediator.model.remediation import ItemState
from remediator.model.target import ResolvedTarget, UnresolvedTarget, resolve_target
from remediator.remediations import REMEDIATIONS
from runbookctl.policy.file_format import Case, PolicyFile, Target
from runbookctl.policy.subjects import has_plan, key_of_alert, key_of_target, only_stack
from runbookd.inventory import Inventory, PlacedBlock, Problem, format_duration
from runbookd.inventory.suggest import suggest
from runbookd.inventory.yaml_places import KeyPath

BOUNDS = (*REFUSALS, *DEFERRALS)
Mistake = tuple[KeyPath, str]


def name_problems(source: PlacedBlock[PolicyFile], number: int, inventory: Inventory) -> Iterator[Problem]:
    """Yield a problem for each name in the case that is not one of the inventory."""
    case = source.block.cases[number]
    for path, reason in (
        *_alerts(case, inventory),
        *_plans(case, inventory),
        *_stacks(case, inventory),
        *_events(case, inventory),
        *_expected(case, inventory),
    ):
        yield source.problem(("cases", number, *path), reason)


def _alerts(case: Case, inventory: Inventory) -> Iterator[Mistake]:
    for place, alert in enumerate(case.alerts):
        path = ("alerts", place)
        mistakes = list(_target(path, alert, inventory))
        yield from mistakes
        if mistakes or alert.remediation is None:
            continue
        key = key_of_alert(alert, inventory)
        acts = not REMEDIATIONS[alert.remediation].reads_only
        if acts and not has_plan(case, key, inventory, alert.since):
            where = f"{alert.remediation} on {key.target} at {format_duration(alert.since)}"
            yield path, f"`plans` has no entry for {where}; add how many items it finds, as `items: 3`"


def _plans(case: Case, inventory: Inventory) -> Iterator[Mistake]:
    for place, plan in enumerate(case.plans):
        path = ("plans", place)
        if plan.target is None:
            yield from _stack(path, plan.stack, inventory)
            yield from _remediation(path, plan.remediation)
        else:
            yield from _target(path, plan, inventory)


def _stacks(case: Case, inventory: Inventory) -> Iterator[Mistake]:
    """Yield the stacks of freezes and conditions that do not exist."""
    for place, freeze in enumerate(case.freezes):
        yield from _stack(("freezes", place), freeze.stack, inventory)
    for place, condition in enumerate(case.conditions):
        yield from _stack(("conditions", place), condition.stack, inventory)


def _events(case: Case, inventory: Inventory) -> Iterator[Mistake]:
    for place, event in enumerate(case.events):
        path = ("events", place, event.kind)
        detail = event.detail
        operator = getattr(detail, "by", None)
        if operator is not None and operator not in inventory.operators:
            yield (*path, "by"), f"the inventory has no operator {operator!r}{suggest(operator, inventory.operators)}"
        if isinstance(detail, Target) and detail.target is not None:
            yield from _target(path, detail, inventory)
        elif event.deploy is not None:
            yield from _stack(path, event.deploy.stack, inventory)
        elif getattr(detail, "stack", None) is not None:
            yield from _stack(path, detail.stack, inventory)
        if event.start is not None and event.start.target is None:
            yield path, "needs a target; set target"
        elif event.start is not None:
            yield from _parameters((*path, "parameters"), event.start.parameters, event.start, inventory)


def _parameters(path: KeyPath, given: dict[str, str], target: Target, inventory: Inventory) -> Iterator[Mistake]:
    key = key_of_target(target, inventory)
    resolved = resolve_target(inventory, REMEDIATIONS, key) if key is not None else None
    if isinstance(resolved, ResolvedTarget):
        try:
            parse_parameters(key.remediation if key else "", resolved.declaration.parameters, given)
        except InvalidParameter as error:
            yield path, str(error)


def _expected(case: Case, inventory: Inventory) -> Iterator[Mistake]:
    for place, expectation in enumerate(case.expect):
        path = ("expect", place)
        for key in ("runs", "episodes", "breakers"):
            for number, entry in enumerate(getattr(expectation, key) or ()):
                yield from _expected_target((*path, key, number), entry, inventory)
        for number, run in enumerate(expectation.runs or ()):
            yield from _words((*path, "runs", number, "items"), run.items or (), "state of an item", list(ItemState))
            for key in ("refused_by", "deferred_by", "says"):
                yield from _words((*path, "runs", number, key), getattr(run, key) or (), "bound", BOUNDS)
        for number, episode in enumerate(expectation.episodes or ()):
            steps = [step for stack in inventory.stacks.values() for step in stack.escalation] or ["everybody"]
            yield from _words((*path, "episodes", number, "ladder"), episode.ladder or (), "step", steps)
        for number, message in enumerate(expectation.messages or ()):
            yield from _words((*path, "messages", number, "to"), message.to or (), "contact", inventory.contacts)
        yield from _words((*path, "heard"), expectation.heard or (), "contact", inventory.contacts)


def _expected_target(path: KeyPath, entry: Target, inventory: Inventory) -> Iterator[Mistake]:
    """Yield the names that the inventory does not have; the target of an alert without a fix is the alert."""
    yield from _stack(path, entry.stack, inventory, may_be_missing=True)
    if entry.remediation is not None:
        yield from _remediation(path, entry.remediation)
    if _is_checkable(entry, inventory):
        yield from _target(path, entry, inventory, queue_may_be_missing=True)


def _is_checkable(entry: Target, inventory: Inventory) -> bool:
    """Return whether the target of an expectation is one of a known stack, and not the name of an alert."""
    remediation = REMEDIATIONS.get(entry.remediation or "")
    if remediation is None or remediation.reads_only or entry.target is None or "/" in entry.target:
        return False
    return entry.stack in inventory.stacks or (entry.stack is None and only_stack(inventory) is not None)


def _words(path: KeyPath, given: Iterable[str], what: str, known: Iterable[str]) -> Iterator[Mistake]:
    names = list(known)
    for place, name in enumerate(given):
        if name not in names:
            yield (
                (*path, name if isinstance(given, dict) else place),
                f"there is no {what} {name!r}{suggest(name, names)}",
            )


def _target(
    path: KeyPath, target: Target, inventory: Inventory, *, queue_may_be_missing: bool = False
) -> Iterator[Mistake]:
    """Yield what is wrong with the stack, the remediation and the target of an entry."""
    mistakes: Sequence[Mistake] = list(_stack(path, target.stack, inventory))
    if target.remediation is not None:
        mistakes = [*mistakes, *_remediation(path, target.remediation)]
    yield from mistakes
    key = None if mistakes else key_of_target(target, inventory)
    if key is None or (queue_may_be_missing and target.queue is None):
        return
    match resolve_target(inventory, REMEDIATIONS, key):
        case UnresolvedTarget(detail):
            yield (*path, _key_at_fault(target, key)), detail


def _key_at_fault(target: Target, key: EpisodeKey) -> str:
    return "queue" if target.queue is not None and key.target.endswith(f"/{target.queue}") else "target"


def _stack(path: KeyPath, name: str | None, inventory: Inventory, *, may_be_missing: bool = False) -> Iterator[Mistake]:
    if name is None and not may_be_missing and only_stack(inventory) is None:
        yield path, f"names no stack, and the inventory has {', '.join(sorted(inventory.stacks))}; set stack"
    if name is not None and name not in inventory.stacks:
        yield (*path, "stack"), f"the inventory has no stack {name!r}{suggest(name, inventory.stacks)}"


def _remediation(path: KeyPath, name: str) -> Iterator[Mistake]:
    if name not in REMEDIATIONS:
        yield (*path, "remediation"), f"there is no remediation {name!r}{suggest(name, REMEDIATIONS)}"
