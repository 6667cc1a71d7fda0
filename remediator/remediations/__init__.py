"""The remediations: one verb per file, and the map of all.

They plan, apply and verify; the engine decides when they run, and the bounds whether. A new one is a file here and its
name in `runbookd/inventory/remediation_names.py`.
"""

from importlib import import_module

from remediator.model.remediation import Remediation
from runbookd.inventory.remediation_names import REMEDIATION_NAMES

REMEDIATIONS: dict[str, Remediation] = {
    name: import_module(f"{__name__}.{name}").REMEDIATION for name in sorted(REMEDIATION_NAMES)
}
