"""A metric, and one measured value of it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


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
    labels: tuple[str, ...]
    value: float


def gauge(name: str, help: str, *labels: str, source: str = "", since: str = "", parts: int = 1) -> Metric:
    """Return a metric that can go up and down."""
    return Metric(name, "gauge", help, labels, source, since, parts)


def counter(name: str, help: str, *labels: str, source: str = "", since: str = "") -> Metric:
    """Return a metric that only grows until its source restarts; its name ends in `_total`."""
    return Metric(name, "counter", help, labels, source, since)
