"""The findings of `--config.check` that only the exporter can make."""

from collections.abc import Iterator

from exporter.collectors import COLLECTORS
from runbookd.inventory import Inventory
from runbookd.service import ConfigFinding


def config_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Yield every secret of a measured target that cannot be read now."""
    for stack_name, stack in inventory.stacks.items():
        for kind in COLLECTORS:
            for name in getattr(stack, kind):
                for key, reason in COLLECTORS[kind](stack, name).secret_problems():
                    yield ConfigFinding(("stacks", stack_name, kind, name, key), reason)
