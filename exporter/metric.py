"""What a metric is, and one measured value of it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True)
class Metric:
    """A metric's name, type, HELP (with the unit) and label names.

    The labels of a collector's metric are its own ones; every sample gets `stack` and `target` in front of them.
    `source` is what of the target the value is read from, `since` the versions of the target that have it (nothing
    where all do); both are for the reference. `parts` is how many series one thing has that the labels name, as a
    queue has one for each state.
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
        return Sample(self, labels, float(value))  # here, where a number that is too large costs its target only


class Sample(NamedTuple):
    """One value with its label values."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


def gauge(name: str, help: str, *labels: str, source: str = "", since: str = "", parts: int = 1) -> Metric:
    """Return a metric that can go up and down."""
    return Metric(name, "gauge", help, labels, source, since, parts)


def counter(name: str, help: str, *labels: str, source: str = "", since: str = "") -> Metric:
    """Return a metric that only grows until its source restarts; the name ends in `_total`."""
    return Metric(name, "counter", help, labels, source, since)
