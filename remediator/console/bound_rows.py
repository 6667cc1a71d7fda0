"""The bounds of a run as rows with gauges: the numbers that were judged, and the sentences of the judgement."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor
from typing import Any

from remediator.bounds.bounds import DEFERRALS, REFUSALS, Decision
from remediator.bounds.facts import BoundFacts
from remediator.bounds.numbers import numbers_of
from remediator.ledger.runs import Run


@dataclass(frozen=True)
class Gauge:
    """A number beside its limit. With `until_full`, the bound waits until the number reaches it."""

    used: float
    limit: float
    unit: str = ""
    until_full: bool = False


@dataclass(frozen=True)
class BoundRow:
    """One bound. `verb` is what it does if it stops a run: refuse or defer."""

    name: str
    verb: str
    stops: bool
    detail: str
    gauges: Sequence[Gauge] = ()
    until: datetime | None = None


def rows_of_run(run: Run) -> Sequence[BoundRow]:
    """Return the bounds as they were last judged for `run`, first those that stopped it."""
    bounds, judged = (_mapping(run.evidence.get(name)) for name in ("bounds", "judged"))
    stopping = {**bounds.get("refused_by", {}), **bounds.get("deferred_by", {})}
    passed: Mapping[str, str] = judged.get("passed", {})
    gauges = _gauges_by_bound(judged.get("numbers", {}), judged.get("at"))
    rows = [_row(name, stopping[name], gauges, stops=True) for name in stopping]
    return [*rows, *(_row(name, passed[name], gauges, stops=False) for name in passed)]


def rows_of_decision(decision: Decision, facts: BoundFacts) -> Sequence[BoundRow]:
    """Return the bounds of a decision that is made now, first those that stop the run."""
    gauges = _gauges_by_bound(numbers_of(facts), facts.now.isoformat())
    rows = [
        _row(name, each.detail, gauges, stops=each.stops, until=each.until if each.stops else None)
        for name, each in decision.judgements.items()
    ]
    return sorted(rows, key=lambda row: not row.stops)


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a part of the evidence; one that was too large is a text."""
    return value if isinstance(value, Mapping) else {}


def _row(
    name: str, detail: str, gauges: Mapping[str, Sequence[Gauge]], *, stops: bool, until: datetime | None = None
) -> BoundRow:
    verb = "refuse" if name in REFUSALS or name not in DEFERRALS else "defer"
    return BoundRow(name, verb, stops, detail, gauges.get(name, ()), until)


def _gauges_by_bound(numbers: Mapping[str, Any], judged_at: str | None) -> Mapping[str, Sequence[Gauge]]:
    """Return the gauges of each bound that judges numbers; empty for a run of an earlier release."""
    if not numbers:
        return {}
    hour, under_way = numbers["runs_last_hour"], numbers["under_way"]
    storm = numbers.get("storm", {})
    found: dict[str, list[Gauge]] = {
        "max_items": list(_pair(numbers["items"]["found"], numbers["items"]["max_items"], "items")),
        "max_share": list(_share(numbers["share"])),
        "stale": list(_pair(numbers["confirmed_seconds_ago"], numbers["max_alert_age_seconds"], "s")),
        "min_firing": list(
            _pair(numbers["firing_seconds"], numbers["min_firing_seconds"] or None, "s", until_full=True)
        ),
        "cooldown": list(_cooldown(numbers, judged_at)),
        "rate": [
            *_count(hour["remediation"], "of this remediation"),
            *_count(hour["stack"], "of the stack"),
            *_count(hour["all"], "of all stacks"),
        ],
        "concurrency": [*_count(under_way["stack"], "of the stack"), *_count(under_way["all"], "of all stacks")],
        "storm": [gauge for name, pair in storm.items() for gauge in _count(pair, name)],
    }
    return found


def _pair(used: float, limit: float | None, unit: str, *, until_full: bool = False) -> Iterator[Gauge]:
    if limit is not None:
        yield Gauge(max(used, 0), limit, unit, until_full)


def _count(pair: Sequence[Any], unit: str) -> Iterator[Gauge]:
    used, limit = pair
    yield from _pair(used, limit, unit)


def _share(share: Mapping[str, Any]) -> Iterator[Gauge]:
    if share["max_share"] is not None and share["of"] is not None:
        yield Gauge(share["found"], floor(share["of"] * share["max_share"]), f"of {share['of']}")


def _cooldown(numbers: Mapping[str, Any], judged_at: str | None) -> Iterator[Gauge]:
    ended_at = numbers["last_run_ended_at"]
    if ended_at is not None and judged_at is not None and numbers["cooldown_seconds"]:
        passed = (datetime.fromisoformat(judged_at) - datetime.fromisoformat(ended_at)).total_seconds()
        yield Gauge(min(max(passed, 0), numbers["cooldown_seconds"]), numbers["cooldown_seconds"], "s", until_full=True)
