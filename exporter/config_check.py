"""The findings of the exporter's `--config.check`; it connects to no target."""

from collections.abc import Iterator

from exporter.collectors import COLLECTORS
from runbookd.inventory import Inventory
from runbookd.inventory.remediation_names import REMEDIATION_NAMES
from runbookd.inventory.suggest import suggest
from runbookd.service import ConfigFinding


def config_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Yield every unusable secret of a measured target, and every unknown remediation."""
    for stack_name, stack in inventory.stacks.items():
        for kind in COLLECTORS:
            for name in getattr(stack, kind):
                for key, reason in COLLECTORS[kind](stack, name).secret_problems():
                    yield ConfigFinding(("stacks", stack_name, kind, name, *key.split(".")), reason)
        for name in stack.remediations:
            if name not in REMEDIATION_NAMES:
                path = ("stacks", stack_name, "remediations", name)
                yield ConfigFinding(path, f"there is no such remediation{suggest(name, REMEDIATION_NAMES)}")
