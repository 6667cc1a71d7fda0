"""Prints the answer of `check`: the recipients of each alert, then the findings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from runbookctl.doctor.finding import Finding

Recipients = Mapping[str, Mapping[str, Sequence[str]]]


def show_text(console: Console, recipients: Recipients, findings: Sequence[Finding]) -> None:
    """Print one line per alert and receivers, and each finding with its repair."""
    for stack, alerts in recipients.items():
        console.print(f"{stack}: {len(alerts)} alerts", highlight=False, markup=False)
        for alert, receivers in alerts.items():
            console.print(f"  {alert}: {', '.join(receivers)}", highlight=False, markup=False, soft_wrap=True)
    for finding in findings:
        console.print(f"- {finding.problem}", highlight=False, markup=False, soft_wrap=True)
        console.print(f"    {finding.repair}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"{len(findings) or 'no'} {'finding' if len(findings) == 1 else 'findings'}", highlight=False)


def show_json(recipients: Recipients, findings: Sequence[Finding]) -> None:
    """Print the same for programs."""
    print(json.dumps({"recipients": recipients, "findings": [asdict(each) for each in findings]}, indent=2))
