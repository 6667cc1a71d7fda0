"""The page of one scrape: every metric once, with the lines of all targets under it."""

from collections.abc import Iterable

from prometheus_client.registry import Collector

from exporter.metric import Metric, Sample
from exporter.series import TargetSeries
from runbookd.service.exposition import Format


class MetricsPage:
    """Lines of a scrape, in the order of the metrics; `others` are prometheus_client's collectors at the end."""

    def __init__(self, others: Iterable[Collector] = ()) -> None:
        self._others = tuple(others)
        self._metrics: dict[str, tuple[Metric, list[str]]] = {}

    def add(self, series: TargetSeries, samples: Iterable[Sample]) -> dict[str, int]:
        """Add the samples of a target; return the number of samples per metric that were dropped."""
        dropped = {}
        for each in series.update(samples):
            _, lines = self._metrics.setdefault(each.metric.name, (each.metric, []))
            lines.append(each.lines())
            if each.dropped:
                dropped[each.metric.name] = each.dropped
        return dropped

    def encode(self, format: Format) -> bytes:
        """Return the page in one of prometheus_client's formats, byte for byte as prometheus_client writes it."""
        texts = []
        for metric, lines in self._metrics.values():
            texts += [format.header(metric.name, metric.type, metric.help), *lines]
        return "".join(texts).encode() + format.encode(self._others)
