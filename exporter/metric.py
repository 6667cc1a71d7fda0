"""A metric, and measured values of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

LabelValues = tuple[str, ...]
Row = tuple[LabelValues, Sequence[float | None]]
"""The label values of an object, and the value of each metric, None for no value."""


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric's name, type, HELP (with the unit) and label names.

    A collector's metric declares its own labels; every sample gets `stack` and `target` in front of them. `source` is
    the view, command or key that the value is read from, `since` the versions that have it (empty for all versions);
    both appear in the reference. `parts` is the number of series per labelled object, as a queue has one per state.
    """

    name: str
    type: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...] = ()
    source: str = ""
    since: str = ""
    parts: int = 1

    def __call__(self, value: float, *labels: str) -> "Sample":
        """Return a sample of this metric; `labels` are values in the order of the names."""
        return Sample(self, labels, float(value))  # a number beyond float fails here, and costs its target only


class Sample(NamedTuple):
    """One value with its label values."""

    metric: Metric
    labels: LabelValues
    value: float


@dataclass(frozen=True)
class Rows:
    """Values of the same metrics for several objects, such as tables: one row per object.

    A page takes a row with one look-up, and a sample with one look-up as well.
    """

    metrics: tuple[Metric, ...]
    rows: Sequence[Row]

    @cached_property
    def count(self) -> int:
        """The number of values."""
        return sum(len(values) - values.count(None) for _, values in self.rows)

    def samples(self) -> Iterator[Sample]:
        """Yield the values one by one."""
        for labels, values in self.rows:
            for metric, value in zip(self.metrics, values, strict=True):
                if value is not None:
                    yield Sample(metric, labels, value)


def single_samples(samples: Iterable[Sample | Rows]) -> Iterator[Sample]:
    """Yield the samples, those of rows one by one."""
    for each in samples:
        if isinstance(each, Rows):
            yield from each.samples()
        else:
            yield each


def gauge(name: str, help: str, *labels: str, source: str = "", since: str = "", parts: int = 1) -> Metric:
    """Return a metric that can go up and down."""
    return Metric(name, "gauge", help, labels, source, since, parts)


def counter(name: str, help: str, *labels: str, source: str = "", since: str = "") -> Metric:
    """Return a metric that only grows until its source restarts; its name ends in `_total`."""
    return Metric(name, "counter", help, labels, source, since)
