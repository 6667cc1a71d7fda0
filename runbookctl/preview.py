"""Prints what would be done now: the outcome, each bound that stands in the way with its numbers, and the plan."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from runbookctl.show import compact, table

SHOWN_ITEMS = 20


def show(console: Console, preview: Mapping[str, Any]) -> None:
    """One preview, as `/api/v1/plan` answers it."""
    mode = f", mode {preview['mode']}" if preview["mode"] else ""
    console.print(f"{preview['remediation']} on {preview['target']}{mode}", highlight=False, soft_wrap=True)
    console.print(f"would be: {_outcome(preview)}", style="bold", highlight=False, soft_wrap=True)
    stopping = [bound for bound in preview["bounds"] if bound["stops"]]
    if stopping:
        console.print(table(("bound", "then", "detail", "until"), stopping))
    passed = [bound["bound"] for bound in preview["bounds"] if not bound["stops"]]
    if passed:
        console.print(f"passed: {', '.join(passed)}", highlight=False, soft_wrap=True)
    for name, value in preview["numbers"].items():
        console.print(f"  {name}: {_plain(value)}", highlight=False, soft_wrap=True)
    _show_plan(console, preview)


def _show_plan(console: Console, preview: Mapping[str, Any]) -> None:
    if preview["found"] is None:
        return
    console.print(f"plan: {preview['found']} found, {len(preview['items'])} listed", highlight=False)
    shown = [{name: compact(item[name]) for name in item} for item in preview["items"][:SHOWN_ITEMS]]
    if shown:
        console.print(table(("identity", "evidence"), shown))
    for name, value in preview["evidence"].items():
        console.print(f"{name}: {compact(value)}", highlight=False, soft_wrap=True)


def _outcome(preview: Mapping[str, Any]) -> str:
    reason = f" ({preview['reason']})" if preview["reason"] else ""
    return f"{preview['would']}{reason}" + (f": {preview['detail']}" if preview["detail"] else "")


def _plain(value: Any) -> str:
    """Numbers as people read them: `found 3, max_items 10`; a pair is a number and its limit."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " of ".join(str(each) for each in value)
    return "none" if value is None else str(value)
