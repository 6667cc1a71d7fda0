"""The page of one scrape: every family once, with the samples of all targets under it.

Two families of one name would make the whole page invalid, and so would two samples with the same labels; so the
families live here, made afresh for each scrape, and what can not be on the page is left out and counted for the caller.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from math import isnan

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporter.metric import Metric, Sample

MAX_SERIES = 1000
"""Of one metric and one target. A target with more is cut to the largest values, lest it flood Prometheus.

A metric with several `parts` may have so many series for each: 1000 queues keep all of their states.
"""

_FAMILY = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
LabelValues = tuple[str, ...]


class Families(Collector):
    """Collected samples, ready for prometheus_client's encoders."""

    def __init__(self, others: Iterable[Collector] = ()) -> None:
        self._others = tuple(others)
        self._families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        self._added: dict[str, set[LabelValues]] = {}

    def add(self, sample: Sample, *leading: str) -> bool:
        """Add `sample` with the label values `leading` in front, or return False if it is there already."""
        return not self.add_all([sample], *leading)

    def add_all(self, samples: Iterable[Sample], *leading: str) -> Mapping[str, int]:
        """Add a target's samples with the label values `leading` in front; return how many of which metric were not.

        Left out are all but the first sample of the same labels, and those of a metric beyond `MAX_SERIES`.
        """
        by_metric: dict[str, list[Sample]] = {}
        for sample in samples:
            by_metric.setdefault(sample.metric.name, []).append(sample)
        leading_values = tuple(map(_encodable, leading))
        dropped = {name: len(group) - self._add(group, leading_values) for name, group in by_metric.items()}
        return {name: count for name, count in dropped.items() if count}

    def collect(self) -> Iterable[Family]:
        yield from self._families.values()
        for other in self._others:
            yield from other.collect()

    def _add(self, samples: Sequence[Sample], leading_values: LabelValues) -> int:
        """Add what is new of one metric's samples and return how much that was."""
        metric = samples[0].metric
        family = self._family(metric, bool(leading_values))
        present = self._added.setdefault(metric.name, set())
        values: dict[LabelValues, float] = {}
        for sample in samples:
            values.setdefault((*leading_values, *map(_encodable, sample.labels)), sample.value)
        new = {labels: value for labels, value in values.items() if labels not in present}
        added = _largest(new, MAX_SERIES * metric.parts)
        for labels, value in added.items():
            family.add_metric(labels, value)
        present.update(added)
        return len(added)

    def _family(self, metric: Metric, of_target: bool) -> GaugeMetricFamily | CounterMetricFamily:
        if metric.name not in self._families:
            labels = ("stack", "target", *metric.labels) if of_target else metric.labels
            self._families[metric.name] = _FAMILY[metric.type](metric.name, metric.help, labels=labels)
        return self._families[metric.name]


def _largest(values: Mapping[LabelValues, float], most: int) -> Mapping[LabelValues, float]:
    """At most so many: always the same ones for the same values, in whatever order a server told them."""
    if len(values) <= most:
        return values
    return dict(nsmallest(most, values.items(), key=_rank))


def _rank(item: tuple[LabelValues, float]) -> tuple[bool, float, LabelValues]:
    labels, value = item
    return (True, 0.0, labels) if isnan(value) else (False, -value, labels)


def _encodable(label: str) -> str:
    """A name with half a character (Redis keys are bytes) would make the page impossible to encode."""
    return label if label.isascii() else label.encode("utf-8", "replace").decode("utf-8")
