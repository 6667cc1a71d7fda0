"""Thresholds without a target, and targets and stacks without thresholds."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runbookctl.check.finding import CheckFinding, name_some
from runbookctl.check.rules import Rule, RuleSet
from runbookctl.check.yaml_file import maps_in
from runbookd.inventory import Inventory, Stack

_KINDS = {"pg_": "postgres", "redis_": "redis", "bullmq_": "queues", "backup_": "backups", "probe_": "http"}
_AGE = "backup_age_seconds"
_COMPARED = re.compile(r"runbook:(\w+):(?:critical|warning|info)")


def findings(inventory: Inventory, rules: RuleSet) -> Iterator[CheckFinding]:
    """Report each number that nothing is compared with, and each stack without any number."""
    for number in rules.thresholds:
        stack_name = number.labels.get("stack", "")
        stack = inventory.stacks.get(stack_name)
        if stack is None or (number.quantity == "probe_success" and _is_probed_by_another(stack_name, rules)):
            continue
        if missing := _missing_target(number, stack):
            repair = "add the target to the inventory, or delete the threshold"
            yield CheckFinding(number.place, f"{number.name}: {stack_name} has no {missing}", repair)
    yield from _foreign_stacks(inventory, rules)
    for name, stack in inventory.stacks.items():
        if not any(number.labels.get("stack") == name for number in rules.thresholds):
            yield CheckFinding(
                str(rules.file),
                f"no threshold of stack {name} is loaded, so that none of its limits has an alert",
                f"add its file to rule_files; `runbookctl init DIR --stack {name}` writes one to start from",
            )
        elif unlimited := sorted(_unlimited(name, stack, rules)):
            yield CheckFinding(
                str(rules.file),
                f"{name} has no number for {name_some(unlimited)}: no alert judges that, and ThresholdMissing fires",
                "add their numbers, or runbook:silent for each, to the thresholds of the stack",
            )


def _unlimited(name: str, stack: Stack, rules: RuleSet) -> set[str]:
    """Return the quantities of the targets of a stack that have neither a number nor a `runbook:silent`."""
    own = [rule for rule in rules.rules if rule.labels.get("stack") == name]
    decided = {rule.quantity or rule.labels.get("quantity", "") for rule in own}
    compared = {quantity for alert in rules.alerts for quantity in _COMPARED.findall(alert.expression)}
    kinds = {rule.labels.get("kind", "") for rule in own if _AGE in (rule.quantity, rule.labels.get("quantity"))}
    ages = {f"{_AGE} of {kind} backups" for kind in {each.kind for each in stack.backups.values()} - kinds}
    return {quantity for quantity in compared - decided - {_AGE} if _is_measured(quantity, stack)} | ages


def _is_measured(quantity: str, stack: Stack) -> bool:
    """Return whether our exporter measures it; of backups, ThresholdMissing asks all numbers of full ones alone."""
    kind = _kind_of(quantity)
    if quantity == "bullmq_queue_dead_letter_jobs":
        return any(each.dead_letter for each in stack.queues.values())
    if kind == "backups":
        return any(each.kind == "full" for each in stack.backups.values())
    return kind is not None and bool(getattr(stack, kind))


def _kind_of(quantity: str) -> str | None:
    """Return the kind of target that our exporter measures it on; applications and hosts are measured by others."""
    return next((kind for prefix, kind in _KINDS.items() if quantity.startswith(prefix)), None)


def _missing_target(number: Rule, stack: Stack) -> str | None:
    kind = _kind_of(number.quantity)
    if kind is None:
        return None
    targets = getattr(stack, kind)
    if not targets:
        return f"{kind} in the inventory"
    if number.quantity == "bullmq_queue_dead_letter_jobs" and not any(each.dead_letter for each in targets.values()):
        return "queues with dead_letter"
    backup_kind = number.labels.get("kind")
    if kind == "backups" and backup_kind and all(each.kind != backup_kind for each in targets.values()):
        return f"backups of kind {backup_kind}"
    return None


def _is_probed_by_another(stack_name: str, rules: RuleSet) -> bool:
    """Return whether a scrape job of blackbox_exporter probes this stack, or may: discovery decides its labels."""
    jobs = [job for job in maps_in(rules.document.get("scrape_configs")) if job.get("metrics_path") == "/probe"]
    return any(
        "static_configs" not in job or any(_stack_of(group) == stack_name for group in maps_in(job["static_configs"]))
        for job in jobs
    )


def _stack_of(group: Mapping[str, Any]) -> object:
    labels = group.get("labels")
    return labels.get("stack") if isinstance(labels, dict) else None


def _foreign_stacks(inventory: Inventory, rules: RuleSet) -> Iterator[CheckFinding]:
    foreign: dict[str, list[Rule]] = {}
    for number in rules.thresholds:
        if (name := number.labels.get("stack", "")) not in inventory.stacks:
            foreign.setdefault(name, []).append(number)
    for name, numbers in foreign.items():
        yield CheckFinding(
            numbers[0].file,
            f"{len(numbers)} thresholds are of stack {name}, which the inventory does not have: MetricMissing fires"
            " for them",
            "load the threshold files of your own stacks only, or add the stack to the inventory",
        )
