"""The subjects of a case's entries: labels of alerts, keys of episodes, and which plan belongs to which."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from remediator.model.episode_key import EpisodeKey
from remediator.model.target import key_of
from remediator.remediations import REMEDIATIONS
from runbookctl.policy.file_format import AlertSpan, Case, Plan, Target
from runbookd.inventory import Inventory


def only_stack(inventory: Inventory) -> str | None:
    """Return the stack of an inventory that has only one."""
    return next(iter(inventory.stacks)) if len(inventory.stacks) == 1 else None


def stack_of(given: str | None, inventory: Inventory) -> str:
    """Return the stack that an entry names, or the only one; name_problems has refused any other."""
    return given or only_stack(inventory) or ""


def labels_of(alert: AlertSpan, inventory: Inventory) -> Mapping[str, str]:
    """Return the labels with which Prometheus would send the alert."""
    labels = {"alertname": alert.alert, "stack": stack_of(alert.stack, inventory)}
    named = {"remediation": alert.remediation, "target": alert.target, "queue": alert.queue}
    return labels | {name: value for name, value in named.items() if value is not None} | alert.labels


def key_of_alert(alert: AlertSpan, inventory: Inventory) -> EpisodeKey:
    """Return the episode that the alert opens."""
    return key_of(labels_of(alert, inventory), REMEDIATIONS)


def key_of_target(target: Target, inventory: Inventory) -> EpisodeKey | None:
    """Return the episode of what an entry names, or None if it names no remediation or one of an alert."""
    if target.remediation is None or REMEDIATIONS[target.remediation].reads_only:
        return None
    labels = {"stack": stack_of(target.stack, inventory), "remediation": target.remediation}
    named = {"target": target.target, "queue": target.queue}
    return key_of(labels | {name: value for name, value in named.items() if value is not None}, REMEDIATIONS)


def plans_of(case: Case, key: EpisodeKey, inventory: Inventory) -> Sequence[Plan]:
    """Return the entries that say what `key` finds: its own, or else those for all targets of its remediation."""
    of_remediation = [
        each
        for each in case.plans
        if each.remediation == key.remediation and stack_of(each.stack, inventory) == key.stack
    ]
    own = [each for each in of_remediation if each.target is not None and key_of_target(each, inventory) == key]
    return own or [each for each in of_remediation if each.target is None]


def has_plan(case: Case, key: EpisodeKey, inventory: Inventory, at: timedelta) -> bool:
    """Return whether the case says what `key` finds at this moment."""
    return any(plan.at <= at for plan in plans_of(case, key, inventory))
