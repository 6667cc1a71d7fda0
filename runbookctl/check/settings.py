"""The findings of both daemons' `--config.check`; what only another user can read is a note."""

import os
from collections.abc import Sequence
from pathlib import Path

from exporter.config_check import config_findings as exporter_findings
from remediator.config_check import config_findings as remediator_findings
from runbookctl.check.finding import CheckFinding, name_some
from runbookd.inventory import Inventory, place_of

# The daemons may run as users that can read and write what this one cannot.
_OF_THIS_USER = ("cannot read", "this user", "not a folder that this user")


def findings(inventory: Inventory, file: Path | None) -> tuple[list[CheckFinding], Sequence[str]]:
    """Return the findings of both daemons, and a note on the files that this user cannot use."""
    found, unusable = [], []
    both = (*exporter_findings(inventory), *remediator_findings(inventory))
    for finding in dict.fromkeys(both):
        if any(words in finding.reason for words in _OF_THIS_USER):
            unusable.append(".".join(finding.path))
            continue
        place = f"{place_of(finding.path, file, os.environ)}: {'.'.join(finding.path)}"
        problem, _, repair = finding.reason.partition("; ")
        found.append(CheckFinding(place, problem, repair))
    notes = [f"not checked, because this user cannot use them: {name_some(unusable)}"] if unusable else []
    return found, notes
