"""Prints the doctor's findings: lines for operators, JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console

from runbookctl.doctor.finding import Report


def show_text(console: Console, reports: Sequence[Report]) -> None:
    """Print one line per target, and below it each finding with its repair, and the exporter's notes."""
    for report in reports:
        console.print(f"{report.target}: {_count(report)}", highlight=False, markup=False)
        for finding in report.findings:
            kind = "optional: " if finding.optional else ""
            console.print(f"  - {kind}{finding.problem}", highlight=False, markup=False, soft_wrap=True)
            console.print(f"      {finding.repair}", highlight=False, markup=False, soft_wrap=True)
        for note in report.notes:
            console.print(f"  note: {note}", highlight=False, markup=False, soft_wrap=True)


def show_json(reports: Sequence[Report]) -> None:
    """Print the same for programs."""
    targets = [
        {
            "target": report.target,
            "findings": [asdict(finding) for finding in report.findings],
            "notes": list(report.notes),
        }
        for report in reports
    ]
    print(json.dumps({"targets": targets, "findings": sum(len(each.findings) for each in reports)}, indent=2))


def _count(report: Report) -> str:
    optional = sum(finding.optional for finding in report.findings)
    required = len(report.findings) - optional
    words = [f"{required} {'finding' if required == 1 else 'findings'}" if required else ""]
    words.append(f"{optional} optional" if optional else "")
    return ", ".join(filter(None, words)) if required else ", ".join(filter(None, ["ok", *words]))
