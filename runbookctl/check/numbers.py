"""Thresholds without a target, and stacks without thresholds."""

from collections.abc import Iterator, Mapping
from typing import Any

from runbookctl.check.finding import CheckFinding
from runbookctl.check.rules import Rule, RuleSet
from runbookctl.check.yaml_file import maps_in
from runbookd.inventory import Inventory, Stack

_KINDS = {"pg_": "postgres", "redis_": "redis", "bullmq_": "queues", "backup_": "backups", "probe_": "http"}


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
    for name in inventory.stacks:
        if not any(number.labels.get("stack") == name for number in rules.thresholds):
            yield CheckFinding(
                str(rules.file),
                f"no threshold of stack {name} is loaded, so that none of its limits has an alert",
                f"add its file to rule_files; `runbookctl init DIR --stack {name}` writes one to start from",
            )


def _missing_target(number: Rule, stack: Stack) -> str | None:
    kind = next((kind for prefix, kind in _KINDS.items() if number.quantity.startswith(prefix)), None)
    if kind is None:  # applications, hosts and others are measured by other exporters
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
            numbers[0].place.rpartition(":")[0],
            f"{len(numbers)} thresholds are of stack {name}, which the inventory does not have: MetricMissing fires"
            " for them",
            "load the threshold files of your own stacks only, or add the stack to the inventory",
        )
