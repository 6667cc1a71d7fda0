"""Families about runs, from the ledger's tally: one pass over it for all of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric

from remediator.context import World
from remediator.model.run_state import ENDED, RunState

UNKNOWN_NAME = "(unknown)"  # alerts can claim any name; only those of the inventory become label values
UNKNOWN_TARGET = "unknown_target"


def known(world: World, stack: str, remediation: str) -> tuple[str, str]:
    """The names as label values."""
    return (
        stack if stack in world.inventory.stacks else UNKNOWN_NAME,
        remediation if remediation in world.remediations else UNKNOWN_NAME,
    )


def tallied(world: World, rows: Sequence[Any]) -> list[Metric]:
    """Runs, refusals, deferrals, durations, and when each outcome was last seen."""
    ended = [row for row in rows if row.state in ENDED]
    return [
        _counter(
            "remediation_runs",
            "Runs that have ended, by outcome.",
            "outcome",
            ((*known(world, row.stack, row.remediation), row.state, row.runs) for row in ended),
        ),
        _bounds(world, rows, RunState.REFUSED, "remediation_refusals", "Runs that a bound has refused."),
        _bounds(world, rows, RunState.DEFERRED, "remediation_deferrals", "Times that a bound has put a run off."),
        _durations(world, ended),
        _last_runs(world, ended),
    ]


def _bounds(world: World, rows: Sequence[Any], state: RunState, name: str, text: str) -> Metric:
    stopped = (row for row in rows if row.state == state)
    return _counter(
        name, text, "bound", ((*known(world, row.stack, row.remediation), row.reason, row.runs) for row in stopped)
    )


def _counter(name: str, text: str, label: str, rows: Iterable[tuple[str, str, str, int]]) -> Metric:
    """Add up rows whose names have become the same."""
    family = CounterMetricFamily(name, text, labels=["stack", "remediation", label])
    counts: Counter[tuple[str, str, str]] = Counter()
    for stack, remediation, value, number in rows:
        counts[stack, remediation, value] += number
    for labels, total in counts.items():
        family.add_metric(labels, total)
    return family


def _durations(world: World, ended: Sequence[Any]) -> Metric:
    family = SummaryMetricFamily(
        "remediation_run_duration_seconds",
        "From admission to the end, of runs that were admitted.",
        labels=["stack", "remediation", "outcome"],
    )
    counts: Counter[tuple[str, str, str]] = Counter()
    seconds: dict[tuple[str, str, str], float] = {}
    for row in ended:
        if row.acted:
            labels = (*known(world, row.stack, row.remediation), row.state)
            counts[labels] += row.acted
            seconds[labels] = seconds.get(labels, 0.0) + row.seconds
    for labels, number in counts.items():
        family.add_metric(labels, count_value=number, sum_value=seconds[labels])
    return family


def _last_runs(world: World, ended: Sequence[Any]) -> Metric:
    family = GaugeMetricFamily(
        "remediation_last_run_timestamp_seconds",
        "When the last run with this outcome ended.",
        labels=["stack", "remediation", "target", "outcome"],
    )
    newest: dict[tuple[str, str, str, str], datetime] = {}
    for row in ended:
        if row.reason != UNKNOWN_TARGET and row.stack in world.inventory.stacks:
            labels = (row.stack, row.remediation, row.target, row.state)
            newest[labels] = max(row.last_at, newest.get(labels, row.last_at))
    for labels, moment in newest.items():
        family.add_metric(labels, moment.astimezone(UTC).timestamp())
    return family
