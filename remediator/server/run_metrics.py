"""Metric families of runs, all made from one pass over the ledger's run counts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric

from remediator.context import Context
from remediator.ledger.run_counts import RunCount
from remediator.model.episode_key import UNKNOWN_NAME
from remediator.model.run_state import ENDED, UNKNOWN_TARGET, RunState
from remediator.server.possible_outcomes import possible_outcomes

LabelledCount = tuple[str, str, str, int]
"""Stack, remediation, outcome or bound, and a number of runs."""


def label_values(context: Context, stack: str, remediation: str) -> tuple[str, str]:
    """Return the names as label values."""
    return (
        stack if stack in context.inventory.stacks else UNKNOWN_NAME,
        remediation if remediation in context.remediations else UNKNOWN_NAME,
    )


def run_families(context: Context, rows: Sequence[RunCount]) -> list[Metric]:
    """Return the families of runs, refusals, deferrals, durations, and last end per outcome."""
    ended_rows = [row for row in rows if row.state in ENDED]
    possible = list(possible_outcomes(context.inventory))
    zeros = ((each.stack, each.remediation, outcome, 0) for each in possible for outcome in each.outcomes)
    refusals = ((each.stack, each.remediation, bound, 0) for each in possible for bound in each.refusals)
    deferrals = ((each.stack, each.remediation, bound, 0) for each in possible for bound in each.deferrals)
    outcomes = ((*label_values(context, row.stack, row.remediation), row.state, row.runs) for row in ended_rows)
    refused, deferred = (_bound_rows(context, rows, state) for state in (RunState.REFUSED, RunState.DEFERRED))
    return [
        _counter("remediation_runs", "Number of ended runs, by outcome.", "outcome", chain(zeros, outcomes)),
        _counter("remediation_refusals", "Number of runs that a bound refused.", "bound", chain(refusals, refused)),
        _counter(
            "remediation_deferrals", "Number of times a bound deferred a run.", "bound", chain(deferrals, deferred)
        ),
        _durations(context, ended_rows),
        _last_runs(context, ended_rows),
    ]


def _bound_rows(context: Context, rows: Sequence[RunCount], state: RunState) -> Iterator[LabelledCount]:
    for row in rows:
        if row.state == state:
            yield (*label_values(context, row.stack, row.remediation), row.reason, row.runs)


def _counter(name: str, text: str, label: str, rows: Iterable[LabelledCount]) -> Metric:
    """Return a counter family, in which rows with the same names are added up."""
    family = CounterMetricFamily(name, text, labels=["stack", "remediation", label])
    counts: Counter[tuple[str, str, str]] = Counter()
    for stack, remediation, value, number in rows:
        counts[stack, remediation, value] += number
    for labels, total in counts.items():
        family.add_metric(labels, total)
    return family


def _durations(context: Context, ended_rows: Sequence[RunCount]) -> Metric:
    family = SummaryMetricFamily(
        "remediation_run_duration_seconds",
        "Duration of admitted runs, from admission to the end.",
        labels=["stack", "remediation", "outcome"],
    )
    counts: Counter[tuple[str, str, str]] = Counter()
    seconds: dict[tuple[str, str, str], float] = {}
    for row in ended_rows:
        if row.acted:
            labels = (*label_values(context, row.stack, row.remediation), str(row.state))
            counts[labels] += row.acted
            seconds[labels] = seconds.get(labels, 0.0) + row.seconds
    for labels, number in counts.items():
        family.add_metric(labels, count_value=number, sum_value=seconds[labels])
    return family


def _last_runs(context: Context, ended_rows: Sequence[RunCount]) -> Metric:
    family = GaugeMetricFamily(
        "remediation_last_run_timestamp_seconds",
        "When the last run with this outcome ended.",
        labels=["stack", "remediation", "target", "outcome"],
    )
    newest: dict[tuple[str, str, str, str], datetime] = {}
    for row in ended_rows:
        if UNKNOWN_NAME not in row and row.reason != UNKNOWN_TARGET and row.stack in context.inventory.stacks:
            labels = (row.stack, row.remediation, row.target, str(row.state))
            newest[labels] = max(row.last_at, newest.get(labels, row.last_at))
    for labels, moment in newest.items():
        family.add_metric(labels, moment.astimezone(UTC).timestamp())
    return family
