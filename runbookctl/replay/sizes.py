"""The sizes of past plans: from the series of the time, from plans that a ledger has recorded, else unknown."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isfinite

from remediator.model.remediation import DeclaredBound, Item, PastSize, Remediation
from remediator.model.target import key_of
from remediator.remediations import REMEDIATIONS
from remediator.simulation.targets import Effect, Reading
from runbookctl.replay.history import History
from runbookctl.replay.prometheus import MAX_SERIES, PastPrometheus, PastSeries

FRESH = timedelta(minutes=5)  # for which a sample tells the size, as in Prometheus
NEAR = timedelta(minutes=10)  # between a recorded plan and the one that it stands for
MARGIN = timedelta(hours=1)  # around the firing of an alert, in which a run may still read its plan
MANY = 1_000_000_000  # a population that no share of an unknown plan exceeds
UNKNOWN = Reading(found=1, population=MANY, is_known=False, evidence={"size": "unknown"}, listed=1)
Key = tuple[str, str]  # remediation, target


@dataclass(frozen=True)
class RecordedPlan:
    """A plan that a remediator has made: its size, or why there was none."""

    at: datetime
    found: int | None
    population: int | None = None
    error: str = ""


@dataclass
class SizeSeries:
    """The samples of one number of one target, oldest first."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def at(self, moment: datetime) -> int | None:
        """Return the newest value at `moment`, or None if it is older than FRESH."""
        index = bisect_right(self.times, moment.timestamp()) - 1
        if index < 0 or moment.timestamp() - self.times[index] > FRESH.total_seconds():
            return None
        return max(round(self.values[index]), 0)


@dataclass(frozen=True)
class Sizes:
    """All that is known about past plans, by remediation and target."""

    found: Mapping[Key, SizeSeries] = field(default_factory=dict)
    population: Mapping[Key, SizeSeries] = field(default_factory=dict)
    recorded: Mapping[Key, Sequence[RecordedPlan]] = field(default_factory=dict)
    remediations: Mapping[str, Remediation] = field(default_factory=lambda: REMEDIATIONS)

    def reading(self, remediation: str, target: str, at: datetime) -> Reading:
        """Return the size of a plan at a moment: as recorded, else as measured, else as declared, else unknown."""
        key = remediation, target
        plan = self._recorded_at(key, at)
        if plan is not None:
            return _recorded_reading(plan)
        found = self.found[key].at(at) if key in self.found else None
        if found is not None:
            population = self.population[key].at(at) if key in self.population else None
            return Reading(found=found, population=population, evidence={"size": "measured"}, listed=1)
        past_size = self.remediations[remediation].past_size
        if past_size is not None and past_size.items is not None:
            return Reading(found=past_size.items, evidence={"size": "declared"}, listed=1)
        return UNKNOWN

    def _recorded_at(self, key: Key, at: datetime) -> RecordedPlan | None:
        plans = self.recorded.get(key, ())
        index = bisect_right(plans, at, key=lambda each: each.at)
        near = [each for each in plans[max(index - 1, 0) : index + 1] if abs(each.at - at) <= NEAR]
        return min(near, key=lambda each: abs(each.at - at), default=None)


def _recorded_reading(plan: RecordedPlan) -> Reading:
    if plan.error:
        return Reading(error=plan.error)
    return Reading(found=plan.found or 0, population=plan.population, evidence={"size": "recorded"}, listed=1)


class PastTargets:
    """Targets of the past: their sizes are known or not, and every effect succeeds."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    def read(self, remediation: str, target: str, at: datetime) -> Reading:
        """See SimulatedTargets."""
        return self._sizes.reading(remediation, target, at)

    def effect(self, _remediation: str, _target: str, _items: Sequence[Item], _at: datetime) -> Effect:
        """See SimulatedTargets."""
        return Effect()

    def surroundings(self, _stack: str, _at: datetime) -> Mapping[DeclaredBound, Sequence[str]]:
        """See SimulatedTargets: what surrounded a target in the past is not known."""
        return {}


async def read_sizes(prometheus: PastPrometheus, history: History, step: timedelta) -> Sizes:
    """Read the sizes of the remediations that the alerts of `history` name, near the times in which these fired.

    Raises:
        PrometheusSilent: Prometheus does not answer.
    """
    sizes = Sizes(defaultdict(SizeSeries), defaultdict(SizeSeries))
    for name, spans in _times_by_remediation(history).items():
        past_size = REMEDIATIONS[name].past_size
        if past_size is not None and past_size.found:
            for start, end in spans:
                await _read_series(prometheus, name, past_size, start, end, step, sizes)
    return sizes


def _times_by_remediation(history: History) -> Mapping[str, Sequence[tuple[datetime, datetime]]]:
    times: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for alert in history.alerts:
        name = alert.labels.get("remediation", "")
        if name in REMEDIATIONS:
            ends = ((span.start, span.end or history.until) for span in alert.spans)
            times[name] += [
                (max(start - FRESH, history.since), min(end + MARGIN, history.until)) for start, end in ends
            ]
    return {name: _merged(each) for name, each in times.items()}


def _merged(times: Iterable[tuple[datetime, datetime]]) -> Sequence[tuple[datetime, datetime]]:
    """Join times that overlap or nearly do, so that one query reads them."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted(times):
        if merged and start <= merged[-1][1] + MARGIN:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


async def _read_series(
    prometheus: PastPrometheus,
    name: str,
    past_size: PastSize,
    start: datetime,
    end: datetime,
    step: timedelta,
    sizes: Sizes,
) -> None:
    for query, into in ((past_size.found, sizes.found), (past_size.population, sizes.population)):
        if query:
            async for page in prometheus.pages(query, start, end, step, MAX_SERIES // 100):
                for series in page[:MAX_SERIES]:
                    _add(into, name, series)


def _add(into: Mapping[Key, SizeSeries], name: str, series: PastSeries) -> None:
    key = key_of({**series.labels, "remediation": name}, REMEDIATIONS)
    one = into[name, key.target]
    for seconds, value in series.samples:
        if isfinite(value) and (not one.times or seconds > one.times[-1]):
            one.times.append(seconds)
            one.values.append(value)
