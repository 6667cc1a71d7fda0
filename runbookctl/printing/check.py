"""Prints the result of `runbookctl check`: lines for operators, JSON for programs."""

import json
from collections.abc import Iterator

from rich.console import Console

from runbookctl.check import CheckResult
from runbookctl.printing.answers import line


def show_text(console: Console, result: CheckResult) -> None:
    """Print who hears of the alerts, then each finding with its repair."""
    for text in _recipients(result):
        line(console, text)
    for finding in result.findings:
        line(console, f"- {finding.place}: {finding.problem}")
        if finding.repair:
            line(console, f"    {finding.repair}")
    for note in result.notes:
        line(console, f"note: {note}")
    count = len(result.findings)
    line(console, f"{count or 'no'} {'finding' if count == 1 else 'findings'}", style="bold")


def _recipients(result: CheckResult) -> Iterator[str]:
    """Yield one line per set of receivers of a stack, with the alerts that reach it."""
    groups: dict[tuple[str, tuple[str, ...]], dict[str, None]] = {}
    for each in result.recipients:
        groups.setdefault((each.alert.stack, each.receivers), {})[each.alert.name] = None
    for (stack, receivers), names in groups.items():
        yield f"{stack} → {', '.join(receivers)}: {', '.join(names)}"


def show_json(result: CheckResult) -> None:
    """Print the same for programs."""
    alerts = [
        {"stack": each.alert.stack, "alert": each.alert.name, "labels": each.alert.labels, "receivers": each.receivers}
        for each in result.recipients
    ]
    findings = [{"place": each.place, "problem": each.problem, "repair": each.repair} for each in result.findings]
    print(json.dumps({"findings": findings, "alerts": alerts, "notes": list(result.notes)}, indent=2))
