"""Names of alerts in the inventory, which select nothing if no rule has them."""

from collections.abc import Iterator

from runbookctl.check.finding import CheckFinding
from runbookctl.check.rules import RuleSet
from runbookd.inventory import Inventory, Stack
from runbookd.inventory.suggest import suggest


def findings(inventory: Inventory, rules: RuleSet) -> Iterator[CheckFinding]:
    """Report each alert of `block_on` and `only_while` that Prometheus does not load."""
    alerts = {alert.name for alert in rules.alerts}
    for stack_name, stack in inventory.stacks.items():
        for place, name in _named_alerts(stack):
            if alerts and name not in alerts:
                problem = f"no rule has an alert {name}, so that it never counts{suggest(name, alerts)}"
                yield CheckFinding(f"stacks.{stack_name}.{place}", problem, "correct the name, or load its rule file")


def _named_alerts(stack: Stack) -> Iterator[tuple[str, str]]:
    for remediation, settings in stack.remediations.items():
        yield from ((f"remediations.{remediation}.block_on", name) for name in settings.block_on)
    for step_name, step in stack.escalation.items():
        yield from ((f"escalation.{step_name}.only_while", name) for name in step.only_while)
