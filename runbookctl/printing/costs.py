"""Prints what the exporter would collect for an inventory, and its cost."""

import json
from collections.abc import Iterable, Sequence

from rich.console import Console

from exporter.pages.explain import TargetCost
from runbookctl.printing.answers import table
from runbookd.inventory import format_duration

_COLUMNS = ("target", "round trips", "families", "max series", "background")


def show_text(console: Console, costs: Sequence[TargetCost]) -> None:
    """Print one line per target, then the total. Round trips are those of one scrape."""
    rows = [dict(zip(_COLUMNS, _cells(cost), strict=True)) for cost in costs]
    table(console, _COLUMNS, rows, no_wrap=_COLUMNS[:1])
    console.print(f"{len(costs)} targets, at most {_total(costs):,} series", highlight=False)


def show_json(costs: Sequence[TargetCost]) -> None:
    """Print the same for programs, with the families' names.

    `refresh_seconds` is null without a background reading.
    """
    targets = [
        {
            "stack": cost.stack,
            "collector": cost.collector,
            "target": cost.target,
            "round_trips": cost.round_trips,
            "refresh_seconds": cost.refresh.total_seconds() if cost.refresh is not None else None,
            "background": cost.background,
            "jobs": list(cost.jobs),
            "families": list(cost.families),
            "series": cost.series,
        }
        for cost in costs
    ]
    print(json.dumps({"targets": targets, "series": _total(costs)}, indent=2))


def _cells(cost: TargetCost) -> tuple[str, ...]:
    lane = [f"every {format_duration(cost.refresh)}, {cost.background}"] if cost.refresh is not None else []
    background = "; ".join([*lane, *([_jobs(len(cost.jobs))] if cost.jobs else [])])
    name = f"{cost.stack}/{cost.collector}/{cost.target}"
    return (name, str(cost.round_trips), str(len(cost.families)), f"{cost.series:,}", background)


def _total(costs: Iterable[TargetCost]) -> int:
    return sum(cost.series for cost in costs)


def _jobs(count: int) -> str:
    return f"{count} {'job' if count == 1 else 'jobs'}, one at a time"
