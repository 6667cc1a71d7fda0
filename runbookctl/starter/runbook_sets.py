"""Writes the complete set of one of the five runbooks: inventory with its tests, thresholds, Prometheus, routes."""

import re
from typing import Literal

from runbookctl.starter.shipped import shipped

Runbook = Literal["clientforge", "deelrx", "formula_pm", "life_platform", "pmcrm"]
Modes = Literal["shadow", "runbook"]

FILES = ("inventory.yml", "policy_tests.yml", "prometheus.yml", "alertmanager.yml")

_MODE = re.compile(r"\bmode: shadow\b(.*# runbook: )(approve|auto)\b")


def runbook_set(runbook: Runbook, stack: str, modes: Modes) -> dict[str, str]:
    """Return the files of a runbook by name, for a stack of another name.

    Raises:
        InitError: this installation has no runbooks.
    """
    sources = {name: shipped("deploy/runbooks") / runbook / name for name in FILES}
    sources["thresholds.yml"] = shipped("alert_rules/thresholds") / f"{runbook}.yml"
    texts = {name: _renamed(source.read_text(encoding="utf-8"), runbook, stack) for name, source in sources.items()}
    for name in ("prometheus.yml", "inventory.yml"):
        texts[name] = texts[name].replace(f"alert_rules/thresholds/{stack}.yml", "thresholds.yml")
    if modes == "runbook":
        texts["inventory.yml"] = _MODE.sub(r"mode: \2\1\2", texts["inventory.yml"])
    return texts


def _renamed(text: str, runbook: str, stack: str) -> str:
    """Replace the name where it is a whole word; ids of rows and names of processes have a hyphen after it."""
    return re.sub(rf"(?<![\w-]){runbook}(?![\w-])", stack, text)
