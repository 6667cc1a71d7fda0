"""The series of one target, as lines of the metrics page.

The text of a series (name and labels, escaped) is made when the series appears and kept until it disappears; a scrape
formats only the values that have changed. Prometheus refuses a page that has a series twice, so duplicates are dropped
here, and so are series beyond a limit, which protects Prometheus from a target with too many.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from math import isnan, nan

from exporter.metric import LabelValues, Metric, Rows, Sample
from runbookd.service.exposition import line_start, number_text

MAX_SERIES = 1000
"""Limit of series per metric and target; the series with the largest values are kept.

A metric with several `parts` may have this number of each: 1000 queues keep all of their states.
"""


class Series:
    """A metric's name and label values as text, and the line with the value that was rendered last."""

    __slots__ = ("start", "text", "value")

    def __init__(self, start: str) -> None:
        self.start, self.value, self.text = start, nan, ""

    def line(self, value: float) -> str:
        """Return the line of the page with this value."""
        if value != self.value:
            self.text, self.value = f"{self.start}{number_text(value or 0.0)}\n", value  # -0.0 equals 0.0: one text
        return self.text


Table = Sequence[tuple[Sequence[Series], Sequence[float | None]]]
"""By row: the series and the values of an object, in the order of the metrics."""


@dataclass
class MetricSeries:
    """One metric's series: those that are known, and their lines in this scrape."""

    metric: Metric
    known: dict[LabelValues, Series]
    lines: dict[str, str] = field(default_factory=dict)
    """By the start of the line; the first value of a series counts."""
    samples: int = 0

    def text(self) -> str:
        """Return the lines of this scrape, at most the limit."""
        return "".join(self.lines.values() if len(self.lines) <= self._limit else self._kept())

    @property
    def dropped(self) -> int:
        """The number of samples that have no line: duplicates, and those beyond the limit."""
        return self.samples - min(len(self.lines), self._limit)

    def forget_absent(self) -> None:
        """Forget the series without a value in this scrape."""
        if len(self.known) > len(self.lines):
            self.known = {labels: series for labels, series in self.known.items() if series.start in self.lines}

    @property
    def _limit(self) -> int:
        return MAX_SERIES * self.metric.parts

    def _kept(self) -> Iterator[str]:
        """Keep the largest values, and among equal ones the same whatever the order of the samples."""
        return (line for _, line in nsmallest(self._limit, self.lines.items(), key=_rank))


class TargetSeries:
    """All series of a target. `leading` are the labels that each has in front of its metric's."""

    def __init__(self, **leading: str) -> None:
        self._names, self._values = tuple(leading), tuple(leading.values())
        self.metrics: dict[str, MetricSeries] = {}
        self.rows: dict[tuple[Metric, ...], dict[LabelValues, list[Series]]] = {}
        """The series of each row of the last scrape, in the order of the metrics."""

    def known(self, metric: Metric) -> dict[LabelValues, Series]:
        """Return the series of a metric in the last scrape."""
        previous = self.metrics.get(metric.name)
        return previous.known if previous is not None and previous.metric.labels == metric.labels else {}

    def new_series(self, group: MetricSeries, labels: LabelValues) -> Series:
        """Add a series. Two names that only differ in bytes that no page can hold are the same series."""
        values = tuple(map(_encodable, labels))
        if values not in group.known:
            names = (*self._names, *group.metric.labels)
            group.known[values] = Series(line_start(group.metric.name, names, (*self._values, *values)))
        return group.known[values]


class SeriesUpdate:
    """The samples of one scrape on their way to the lines of the page."""

    def __init__(self, target: TargetSeries) -> None:
        self._target = target
        self._metrics: dict[str, MetricSeries] = {}
        self._rows: dict[tuple[Metric, ...], dict[LabelValues, list[Series]]] = {}

    def add(self, samples: Iterable[Sample | Rows]) -> None:
        """Take samples in the order of the page."""
        for each in samples:
            if isinstance(each, Rows):
                self._add_rows(each)
                continue
            metric, labels, value = each
            group = self._metrics.get(metric.name) or self._group(metric)
            series = group.known.get(labels) or self._target.new_series(group, labels)
            group.samples += 1
            group.lines.setdefault(series.start, series.line(value))

    def finish(self) -> Collection[MetricSeries]:
        """Return the series per metric; the target forgets those without a value."""
        metrics = {name: group for name, group in self._metrics.items() if group.lines}
        for group in metrics.values():
            group.forget_absent()
        self._target.metrics, self._target.rows = metrics, self._rows
        return metrics.values()

    def _group(self, metric: Metric) -> MetricSeries:
        group = self._metrics.get(metric.name)
        if group is None:
            group = self._metrics[metric.name] = MetricSeries(metric, self._target.known(metric))
        return group

    def _add_rows(self, rows: Rows) -> None:
        """Add rows with one look-up each: most values of a page come this way."""
        groups = [self._group(metric) for metric in rows.metrics]
        previous, current = self._target.rows.get(rows.metrics, {}), self._rows.setdefault(rows.metrics, {})
        table = []
        for labels, values in rows.rows:
            row = current[labels] = previous.get(labels) or self._new_row(groups, labels)
            table.append((row, values))
        for column, group in enumerate(groups):
            _add_column(group, table, column)

    def _new_row(self, groups: Sequence[MetricSeries], labels: LabelValues) -> list[Series]:
        """Return the series of a row, in the order of the metrics."""
        return [group.known.get(labels) or self._target.new_series(group, labels) for group in groups]


def _add_column(group: MetricSeries, table: Table, column: int) -> None:
    """Add the values of one metric."""
    add = group.lines.setdefault
    for row, values in table:
        value = values[column]
        if value is None:
            continue
        series = row[column]
        group.samples += 1
        add(series.start, series.text if value == series.value else series.line(value))  # spares most calls of `line`


def _rank(item: tuple[str, str]) -> tuple[bool, float, str]:
    start, line = item
    value = float(line.removeprefix(start))
    return (True, 0.0, start) if isnan(value) else (False, -value, start)


def _encodable(label: str) -> str:
    """Replace half a character, which Redis keys may have, because a page with it cannot be encoded."""
    return label if label.isascii() else label.encode("utf-8", "replace").decode("utf-8")
