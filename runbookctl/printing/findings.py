"""Prints the doctor's findings: lines for operators, JSON for programs."""

import json
from collections.abc import Sequence

from rich.console import Console

from runbookctl.doctor.finding import Report


def show_text(console: Console, reports: Sequence[Report]) -> None:
    """Print one line per target, and below it each finding with its repair, and the exporter's notes."""
    for report in reports:
        console.print(f"{report.target}: {_count(len(report.findings)) or 'ok'}", highlight=False, markup=False)
        for finding in report.findings:
            console.print(f"  - {finding.problem}", highlight=False, markup=False, soft_wrap=True)
            console.print(f"      {finding.repair}", highlight=False, markup=False, soft_wrap=True)
        for note in report.notes:
            console.print(f"  note: {note}", highlight=False, markup=False, soft_wrap=True)


def show_json(reports: Sequence[Report]) -> None:
    """Print the same for programs."""
    targets = [
        {
            "target": report.target,
            "findings": [{"problem": finding.problem, "repair": finding.repair} for finding in report.findings],
            "notes": list(report.notes),
        }
        for report in reports
    ]
    print(json.dumps({"targets": targets, "findings": sum(len(each.findings) for each in reports)}, indent=2))


def _count(findings: int) -> str:
    return f"{findings} {'finding' if findings == 1 else 'findings'}" if findings else ""
