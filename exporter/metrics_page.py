"""The page of one scrape: every metric once, with the lines of all targets under it."""

import asyncio
from collections.abc import Iterable, Iterator

from prometheus_client.registry import Collector

from exporter.metric import Metric, Rows, Sample
from exporter.series import MetricSeries, SeriesUpdate, TargetSeries
from runbookd.service.exposition import Format

# Values between two turns of other tasks: a millisecond.
STEP = 2000


class MetricsPage:
    """Lines of a scrape, in the order of the metrics; `others` are prometheus_client's collectors at the end."""

    def __init__(self, others: Iterable[Collector] = ()) -> None:
        self._others = tuple(others)
        self._metrics: dict[str, tuple[Metric, list[str]]] = {}

    def add(self, series: TargetSeries, samples: Iterable[Sample | Rows]) -> dict[str, int]:
        """Add the samples of a target; return the number of samples per metric that were dropped."""
        update = SeriesUpdate(series)
        update.add(samples)
        return self._add_lines(update.finish())

    async def add_in_steps(self, series: TargetSeries, samples: Iterable[Sample | Rows]) -> dict[str, int]:
        """Add the samples of a target as `add` does, and let other tasks run in between."""
        update = SeriesUpdate(series)
        for step in _steps(samples):
            update.add(step)
            await asyncio.sleep(0)
        return self._add_lines(update.finish())

    def _add_lines(self, metrics: Iterable[MetricSeries]) -> dict[str, int]:
        dropped = {}
        for each in metrics:
            _, texts = self._metrics.setdefault(each.metric.name, (each.metric, []))
            texts.append(each.text())
            if each.dropped:
                dropped[each.metric.name] = each.dropped
        return dropped

    def encode(self, format: Format) -> bytes:
        """Return the page in one of prometheus_client's formats, byte for byte as prometheus_client writes it."""
        texts = []
        for metric, lines in self._metrics.values():
            texts += [format.header(metric.name, metric.type, metric.help), *lines]
        return "".join(texts).encode() + format.encode(self._others)


def _steps(samples: Iterable[Sample | Rows]) -> Iterator[list[Sample | Rows]]:
    """Yield the samples in pieces of about STEP values."""
    step: list[Sample | Rows] = []
    values = 0
    for each in samples:
        step.append(each)
        values += each.count if isinstance(each, Rows) else 1
        if values >= STEP:
            yield step
            step, values = [], 0
    yield step
