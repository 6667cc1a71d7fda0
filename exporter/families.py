"""The page of one scrape: every family once, with the samples of all targets under it.

Two families of one name would make the whole page invalid, and so would two samples with the same labels; so the
families live here, made afresh for each scrape, and a duplicate sample is dropped and reported to the caller.
"""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporter.metric import Metric, Sample

MAX_SERIES = 1000
"""Of one metric and one target. A target with more is cut to the largest values, lest it flood Prometheus."""

_FAMILY = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}


class Families(Collector):
    """Collected samples, ready for prometheus_client's encoders."""

    def __init__(self, others: Iterable[Collector] = ()) -> None:
        self._others = tuple(others)
        self._families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        self._seen: set[tuple[str, tuple[str, ...]]] = set()

    def add(self, sample: Sample, *leading: str) -> bool:
        """Add `sample` with the label values `leading` in front, or return False if it is there already."""
        labels = tuple(_text(label) for label in (*leading, *sample.labels))
        if (sample.metric.name, labels) in self._seen:
            return False
        self._seen.add((sample.metric.name, labels))
        self._family(sample.metric, bool(leading)).add_metric(labels, sample.value)
        return True

    def collect(self) -> Iterable[Family]:
        yield from self._families.values()
        for other in self._others:
            yield from other.collect()

    def _family(self, metric: Metric, of_target: bool) -> GaugeMetricFamily | CounterMetricFamily:
        if metric.name not in self._families:
            labels = ("stack", "target", *metric.labels) if of_target else metric.labels
            self._families[metric.name] = _FAMILY[metric.type](metric.name, metric.help, labels=labels)
        return self._families[metric.name]


def _text(label: str) -> str:
    """A name with half a character (Redis keys are bytes) would make the page impossible to encode."""
    return label.encode("utf-8", "replace").decode("utf-8")
