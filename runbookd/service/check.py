"""`--config.check`: reports the problems of an inventory before a daemon runs on it."""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from runbookd.inventory import Inventory, Problem, place_of

NO_INVENTORY = "no inventory: pass one with --config.file (RUNBOOK_CONFIG_FILE), or set DATABASE_URL or REDIS_URL"


@dataclass(frozen=True)
class ConfigFinding:
    """A setting in a usable inventory that will fail later. `path` are the keys down to it."""

    path: tuple[str, ...]
    reason: str


def check(
    inventory: Inventory | None, file: Path | None, config_findings: Callable[[Inventory], Iterable[ConfigFinding]]
) -> int:
    """Print every finding with its file and line; return 0 without findings, otherwise 1."""
    if inventory is None:
        return _print([NO_INVENTORY], 1)
    findings = [locate(finding, file) for finding in config_findings(inventory)]
    if findings:
        return _print(findings, 1)
    return _print([f"{file or 'environment'}: no problems found, stacks: {', '.join(inventory.stacks)}"], 0)


def _print(lines: Iterable[object], code: int) -> int:
    """Print to standard output, of any encoding; return `code`, or 1 if it cannot be written."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(*lines, sep="\n", flush=True)
    except OSError as error:
        print(f"--config.check: cannot write the output: {error.strerror}; print elsewhere", file=sys.stderr)
        return 1
    return code


def locate(finding: ConfigFinding, file: Path | None) -> Problem:
    """Return the finding with the place of its key in the file or the environment."""
    return Problem(place_of(finding.path, file, os.environ), ".".join(finding.path), finding.reason)
