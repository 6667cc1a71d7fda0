"""The alerts that can fire for the stacks of an inventory, with the labels that routes see."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runbookctl.check.rules import Rule, RuleSet
from runbookd.inventory import Inventory, Stack

_NUMBER = re.compile(r"runbook:\w+:(?:critical|warning|info)")
_KINDS = {"database": "postgres", "cache": "redis", "queues": "queues", "backups": "backups", "http": "http"}


@dataclass(frozen=True)
class PossibleAlert:
    """An alert of one stack; its labels are those of the rule, the stack, a target and the number."""

    name: str
    stack: str
    labels: Mapping[str, str]

    @property
    def remediation(self) -> str:
        """The remediation that the alert names, or an empty text."""
        return self.labels.get("remediation", "")

    @property
    def is_critical(self) -> bool:
        """Whether its priority says so, or without one its severity, as in deploy/alertmanager.yml."""
        priority = self.labels.get("priority", "")
        return priority in ("P0", "P1") or (not priority and self.labels.get("severity") == "critical")


def possible_alerts(inventory: Inventory, rules: RuleSet) -> list[PossibleAlert]:
    """Return the alerts that can fire: those without a number, and those with one for the stack."""
    return [
        PossibleAlert(rule.name, stack_name, labels)
        for stack_name, stack in inventory.stacks.items()
        for rule in rules.alerts
        for labels in _labels_of(rule, stack_name, stack, rules)
    ]


def _labels_of(rule: Rule, stack_name: str, stack: Stack, rules: RuleSet) -> Iterator[Mapping[str, str]]:
    named = set(_NUMBER.findall(rule.expression))
    priorities = {
        number.labels.get("priority", "")
        for number in rules.thresholds
        if number.name in named and number.labels.get("stack") == stack_name
    }
    if named and rules.thresholds and not priorities:
        return
    # Labels that are templates are known when the alert fires only.
    fixed = {name: value for name, value in rule.labels.items() if "{{" not in value}
    if fixed.get("stack", stack_name) != stack_name:
        return
    for priority in sorted(priorities or {""}):
        for target in _targets(stack, fixed.get("component", "")):
            labels = {"priority": priority, "target": target, "stack": stack_name, **fixed, "alertname": rule.name}
            yield {name: value for name, value in labels.items() if value}


def _targets(stack: Stack, component: str) -> list[str]:
    return list(getattr(stack, _KINDS[component])) or [""] if component in _KINDS else [""]
