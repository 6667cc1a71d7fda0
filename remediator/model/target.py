"""Resolves the target that an alert names; only targets in the inventory count."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache

from remediator.model.episode_key import ALERTS, UNKNOWN_NAME, EpisodeKey
from remediator.model.known_stacks import unknown_stack
from remediator.model.parameters import Value
from remediator.model.remediation import Declaration, Identity, Item, Remediation, Scope, TargetName, Trigger
from runbookd.inventory import Inventory, Mode, RemediationSettings, Stack
from runbookd.inventory.suggest import suggest

READ_FOR = frozenset({"P0", "P1", ""})  # without a priority, an alert counts as urgent
MAX_NAME = 200  # characters; a longer name in an alert is cut before it is stored
# Names never contain these characters: some databases refuse them, and in messages they would forge or hide text.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class ResolvedTarget:
    """A target resolved from `inventory`, and the remediation that may run on it.

    A run under way keeps its target, so a reload changes neither the settings nor the windows of that run.
    """

    inventory: Inventory
    remediation: Remediation
    stack: Stack
    name: TargetName
    settings: RemediationSettings
    parameters: Mapping[str, Value] = field(default_factory=dict)
    undoes: Sequence[Item] | None = None
    trigger: Trigger = "alert"

    @property
    def declaration(self) -> Declaration:
        """The parameters and the undo of the remediation on this target."""
        return self.remediation.declared_for(self.stack, self.name)

    @property
    def max_alert_age(self) -> timedelta:
        """The stack's own limit, else that of all stacks."""
        return self.stack.limits.alert_age(self.inventory.limits)

    def scope(self, run: int | str, touched_items: Sequence[Identity] = ()) -> Scope:
        """Return the scope of `run` on this target."""
        scope = Scope(self.stack, self.name, self.settings, str(run), touched_items)
        return replace(scope, parameters=self.parameters, undoes=self.undoes, trigger=self.trigger)


@dataclass(frozen=True)
class UnresolvedTarget:
    """A target that the inventory does not have; `detail` tells the operator why."""

    detail: str


def key_of(labels: Mapping[str, str], remediations: Mapping[str, Remediation]) -> EpisodeKey:
    """Return the episode of an alert with these labels, whether or not its target exists."""
    stack, name, target = (_label(labels, label) for label in ("stack", "remediation", "target"))
    if name in remediations and remediations[name].reads_only and "alertname" in labels:
        return EpisodeKey(stack, name, f"{stack}/{ALERTS}/{_label(labels, 'alertname')}")
    kind = remediations[name].kind if name in remediations else "?"
    parts = [stack, kind, stack if kind == "stack" else target]
    if kind == "queues":
        parts.append(_label(labels, "queue"))
    return EpisodeKey(stack, name, "/".join(parts))


def opens_an_episode(labels: Mapping[str, str], remediations: Mapping[str, Remediation]) -> bool:
    """Return whether the remediator answers an alert with these labels.

    An alert without a fix of its own carries a remediation that only reads; below P1 it is left to Alertmanager.
    """
    remediation = remediations.get(labels.get("remediation", ""))
    is_reading = remediation is not None and remediation.reads_only
    return "remediation" in labels and (not is_reading or labels.get("priority", "") in READ_FOR)


def keys_of(labels: Iterable[Mapping[str, str]], remediations: Mapping[str, Remediation]) -> frozenset[EpisodeKey]:
    """Return the episodes of alerts with these labels."""
    return frozenset(key_of(each, remediations) for each in labels)


def _label(labels: Mapping[str, str], label: str) -> str:
    return sanitize(labels.get(label, ""))


def sanitize(text: str, max_length: int = MAX_NAME) -> str:
    """Reduce untrusted text to one printable line of at most `max_length` characters."""
    return _replace_unprintable(text[:max_length])


@lru_cache(4_096)  # repeated alerts carry the same names
def _replace_unprintable(text: str) -> str:
    return UNPRINTABLE.sub("\ufffd", text)


def resolve_target(
    inventory: Inventory, remediations: Mapping[str, Remediation], key: EpisodeKey
) -> ResolvedTarget | UnresolvedTarget:
    """Look up the target of `key` in the inventory."""
    remediation = remediations.get(key.remediation)
    if remediation is None:
        nearest = suggest(key.remediation, remediations)
        return UnresolvedTarget(f"there is no remediation {key.remediation!r}{nearest}")
    stack = inventory.stacks.get(key.stack)
    if stack is None:
        return UnresolvedTarget(unknown_stack(key.stack, inventory.stacks))
    match _resolve_name(remediation, stack, key):
        case TargetName() as name:
            return ResolvedTarget(inventory, remediation, stack, name, settings_for(stack, remediation))
        case unresolved:
            return unresolved


def find_target(
    inventory: Inventory, remediations: Mapping[str, Remediation], key: EpisodeKey
) -> ResolvedTarget | None:
    """Look up the target of `key`, or return None.

    Unlike `resolve_target` it looks for no name that is meant, which takes long for thousands of keys.
    """
    remediation, stack = remediations.get(key.remediation), inventory.stacks.get(key.stack)
    if remediation is None or stack is None:
        return None
    name = _own_name(remediation, key)
    if not key.is_about_an_alert and name not in targets_by_kind(key.stack, stack)[remediation.kind]:
        return None
    found = resolve_target(inventory, remediations, key)
    return found if isinstance(found, ResolvedTarget) else None


def _own_name(remediation: Remediation, key: EpisodeKey) -> str:
    """Return the name of the target in its stack, without its queue."""
    _, _, rest = key.target.removeprefix(f"{key.stack}/").partition("/")
    return rest.partition("/")[0] if remediation.kind == "queues" else rest


def canonical_target(remediation: Remediation, text: str) -> str:
    """Return the canonical form of a target that an operator wrote, perhaps without its kind."""
    stack, _, rest = text.partition("/")
    if rest.startswith(f"{remediation.kind}/"):
        return text
    return f"{stack}/{remediation.kind}/{rest or stack}"


def counted_key(inventory: Inventory, remediations: Mapping[str, Remediation], key: EpisodeKey) -> EpisodeKey:
    """Return the key under which runs on a target that does not exist are counted: alerts can claim any name."""
    return EpisodeKey(
        key.stack if key.stack in inventory.stacks else UNKNOWN_NAME,
        key.remediation if key.remediation in remediations else UNKNOWN_NAME,
        UNKNOWN_NAME,
    )


def settings_of(stack: Stack, remediation: str) -> RemediationSettings:
    """Return the settings of `remediation`; by default it only plans and records."""
    return stack.remediations.get(remediation, RemediationSettings(mode=Mode.SHADOW))


def settings_for(stack: Stack, remediation: Remediation) -> RemediationSettings:
    """Return the settings that count: one that only reads acts without an entry in the inventory."""
    if remediation.reads_only and remediation.name not in stack.remediations:
        return RemediationSettings(mode=Mode.AUTO)
    return settings_of(stack, remediation.name)


def _resolve_name(remediation: Remediation, stack: Stack, key: EpisodeKey) -> TargetName | UnresolvedTarget:
    _, _, rest = key.target.removeprefix(f"{key.stack}/").partition("/")
    if remediation.reads_only and key.is_about_an_alert:
        return TargetName(key.stack, remediation.kind, key.stack)
    name, _, queue = rest.partition("/") if remediation.kind == "queues" else (rest, "", "")
    names = targets_by_kind(key.stack, stack)[remediation.kind]
    if name not in names:
        return UnresolvedTarget(f"stack {key.stack} has no {remediation.kind} target {name!r}{suggest(name, names)}")
    if remediation.kind != "queues":
        return TargetName(key.stack, remediation.kind, name)
    return _resolve_queue(stack, TargetName(key.stack, "queues", name, queue))


def _resolve_queue(stack: Stack, name: TargetName) -> TargetName | UnresolvedTarget:
    place, queue = f"{name.stack}/queues/{name.name}", name.queue
    if not queue:
        return UnresolvedTarget(f"the alert names no queue of {place}: add the label `queue`")
    queues = stack.queues[name.name]
    if queues.owns(queue):
        return name
    if isinstance(queues.names, tuple):
        return UnresolvedTarget(f"{place} does not list the queue {queue!r}{suggest(queue, queues.names)}")
    return UnresolvedTarget(f"{queue!r} may be another product's queue: list it in names of {place} if it is yours")


def targets_by_kind(name: str, stack: Stack) -> Mapping[str, Mapping[str, object]]:
    """Return the targets of the stack `name` by their kind; a queue is not one, but its group is."""
    return {
        "postgres": stack.postgres,
        "queues": stack.queues,
        "backups": stack.backups,
        "commands": stack.commands,
        "services": stack.services,
        "folders": stack.folders,
        "redis": stack.redis,
        "stack": {name: stack},
    }
