"""The series of one target, as lines of the metrics page.

The text of a series (name and labels, escaped) is made when the series appears and kept until it disappears; a scrape
formats only the values that have changed. Prometheus refuses a page that has a series twice, so duplicates are dropped
here, and so are series beyond a limit, which protects Prometheus from a target with too many.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from math import isnan, nan

from exporter.metric import Metric, Sample
from runbookd.service.exposition import line_start, number_text

MAX_SERIES = 1000
"""Limit of series per metric and target; the series with the largest values are kept.

A metric with several `parts` may have this number of each: 1000 queues keep all of their states.
"""

LabelValues = tuple[str, ...]


class Series:
    """A metric's name and label values as text, and the line with the value that was rendered last."""

    __slots__ = ("_line", "_value", "start")

    def __init__(self, start: str) -> None:
        self.start, self._value, self._line = start, nan, ""

    def line(self, value: float) -> str:
        """Return the line of the page with this value."""
        if value != self._value or not value:  # 0.0 equals -0.0, which reads differently
            self._value, self._line = value, f"{self.start}{number_text(value)}\n"
        return self._line


@dataclass
class MetricSeries:
    """One metric's series: those that are known, and the values of this scrape."""

    metric: Metric
    known: dict[LabelValues, Series]
    values: dict[Series, float] = field(default_factory=dict)
    duplicates: int = 0

    def lines(self) -> str:
        """Return the lines of this scrape, at most the limit."""
        return "".join([series.line(value) for series, value in self._kept().items()])

    @property
    def dropped(self) -> int:
        """The number of samples that have no line."""
        return self.duplicates + max(len(self.values) - self._limit, 0)

    def forget_absent(self) -> None:
        """Forget the series without a value in this scrape."""
        if len(self.known) > len(self.values):
            self.known = {labels: series for labels, series in self.known.items() if series in self.values}

    @property
    def _limit(self) -> int:
        return MAX_SERIES * self.metric.parts

    def _kept(self) -> Mapping[Series, float]:
        """Keep the largest values, and among equal ones the same whatever the order of the samples."""
        if len(self.values) <= self._limit:
            return self.values
        return dict(nsmallest(self._limit, self.values.items(), key=_rank))


class TargetSeries:
    """All series of a target. `leading` are the labels that each has in front of its metric's."""

    def __init__(self, **leading: str) -> None:
        self._names, self._values = tuple(leading), tuple(leading.values())
        self._metrics: dict[str, MetricSeries] = {}

    def update(self, samples: Iterable[Sample]) -> Iterable[MetricSeries]:
        """Take the samples of a scrape and return the series per metric."""
        current: dict[str, MetricSeries] = {}
        for metric, labels, value in samples:
            group = current.get(metric.name)
            if group is None:
                group = current[metric.name] = self._begin(metric)
            series = group.known.get(labels) or self._new_series(group, labels)
            if series in group.values:
                group.duplicates += 1
            else:
                group.values[series] = value
        for group in current.values():
            group.forget_absent()
        self._metrics = current
        return current.values()

    def _begin(self, metric: Metric) -> MetricSeries:
        previous = self._metrics.get(metric.name)
        same = previous is not None and previous.metric.labels == metric.labels
        return MetricSeries(metric, previous.known if previous is not None and same else {})

    def _new_series(self, group: MetricSeries, labels: LabelValues) -> Series:
        """Two names that only differ in bytes that no page can hold are the same series."""
        values = tuple(map(_encodable, labels))
        if values not in group.known:
            names = (*self._names, *group.metric.labels)
            group.known[values] = Series(line_start(group.metric.name, names, (*self._values, *values)))
        return group.known[values]


def _rank(item: tuple[Series, float]) -> tuple[bool, float, str]:
    series, value = item
    return (True, 0.0, series.start) if isnan(value) else (False, -value, series.start)


def _encodable(label: str) -> str:
    """Replace half a character, which Redis keys may have, because a page with it cannot be encoded."""
    return label if label.isascii() else label.encode("utf-8", "replace").decode("utf-8")
