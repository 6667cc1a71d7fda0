"""Prints a preview: the outcome, every bound with its numbers, and the plan."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from remediator.model.logfmt import format_evidence
from runbookctl.printing.answers import item_line, line, moment, table

SHOWN_ITEMS = 20


def show(console: Console, preview: Mapping[str, Any]) -> None:
    """Print one preview, as `/api/v1/plan` returns it."""
    mode = f", mode {preview['mode']}" if preview["mode"] else ""
    line(console, f"{preview['remediation']} on {preview['target']}{mode}")
    line(console, f"would be: {_outcome(preview)}", style="bold")
    if preview["bounds"]:
        table(console, ("bound", "result", "reason"), _bounds(preview), no_wrap=("bound", "result"))
    _show_plan(console, preview)


def _bounds(preview: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the bounds, first those that stop the run."""
    rows = [
        {
            "bound": bound["bound"],
            "result": bound["then"] if bound["stops"] else "pass",
            "reason": bound["detail"] + (f"; until {moment(bound['until'])[:19]} UTC" if bound["until"] else ""),
        }
        for bound in preview["bounds"]
    ]
    return sorted(rows, key=lambda row: row["result"] == "pass")


def _show_plan(console: Console, preview: Mapping[str, Any]) -> None:
    if preview["found"] is None:
        return
    items = preview["items"]
    line(console, f"plan: {preview['found']} found, {len(items)} listed")
    for item in items[:SHOWN_ITEMS]:
        line(console, item_line(item))
    if len(items) > SHOWN_ITEMS:
        line(console, f"  … and {len(items) - SHOWN_ITEMS} more; list them with --output json")
    for name, value in preview["evidence"].items():
        if text := format_evidence(value):
            line(console, f"{name}: {text}")


def _outcome(preview: Mapping[str, Any]) -> str:
    reason = f" ({preview['reason']})" if preview["reason"] else ""
    return f"{preview['would']}{reason}" + (f": {preview['detail']}" if preview["detail"] else "")
