"""The statements beyond the listed ones, as counters that never fall.

Their plain sum falls whenever a statement moves into the list or is forgotten by the server, and Prometheus takes a
fall for a restart: the whole sum would count as new. So what is exported is what came to it since the exporter started.
"""

from collections.abc import Iterable, Iterator

from exporter.metric import Sample
from exporter.postgres.parts.top_statements import COSTS, OTHER

_NAMES = frozenset(metric.name for metric in COSTS.metrics)
CounterKey = tuple[str, str]
"""A metric's name, a database."""


class OtherStatements:
    """Turns the sums of all statements into counters of the others, from one reading of a server to the next."""

    def __init__(self) -> None:
        self._counters: dict[CounterKey, float] = {}
        self._previous: dict[CounterKey, dict[str, float]] = {}

    def with_counters(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield the samples, those of `other` with the counter's value."""
        values_by_key: dict[CounterKey, dict[str, float]] = {}
        for sample in samples:
            if sample.metric.name not in _NAMES:
                yield sample
                continue
            datname, queryid = sample.labels
            values_by_key.setdefault((sample.metric.name, datname), {})[queryid] = sample.value
            if queryid != OTHER:
                yield sample
        yield from self._others(values_by_key)

    def _others(self, values_by_key: dict[CounterKey, dict[str, float]]) -> Iterator[Sample]:
        metrics = {metric.name: metric for metric in COSTS.metrics}
        for key, values in values_by_key.items():
            name, datname = key
            self._counters[key] = self._counters.get(key, 0.0) + _increase(self._previous.get(key), values)
            yield metrics[name](self._counters[key], datname, OTHER)
        self._previous |= values_by_key


def _increase(before: dict[str, float] | None, now: dict[str, float]) -> float:
    """How much all have grown, without what those grew that are listed now and were before."""
    if before is None:
        return 0.0
    listed_ids = (now.keys() & before.keys()) - {OTHER}
    listed_increase = sum(now[queryid] - before[queryid] for queryid in listed_ids)
    return max(now[OTHER] - before[OTHER] - listed_increase, 0.0)
