"""The statements beyond the listed ones, as counters that never fall.

Their plain sum falls whenever a statement moves into the list or is forgotten by the server, and Prometheus takes a
fall for a restart: the whole sum would count as new. So what is exported is what came to it since the exporter started.
"""

from collections.abc import Iterable, Iterator

from exporter.metric import Sample
from exporter.postgres.parts.statements import COSTS, OTHER

_NAMES = frozenset(metric.name for metric in COSTS.metrics)
Key = tuple[str, str]
"""A metric's name, a database."""


class Remainder:
    """Turns the sums of all statements into counters of the others, from one reading of a server to the next."""

    def __init__(self) -> None:
        self._counters: dict[Key, float] = {}
        self._before: dict[Key, dict[str, float]] = {}

    def settled(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield the samples, those of `other` with the counter's value."""
        found: dict[Key, dict[str, float]] = {}
        for sample in samples:
            if sample.metric.name not in _NAMES:
                yield sample
                continue
            datname, queryid = sample.labels
            found.setdefault((sample.metric.name, datname), {})[queryid] = sample.value
            if queryid != OTHER:
                yield sample
        yield from self._others(found)

    def _others(self, found: dict[Key, dict[str, float]]) -> Iterator[Sample]:
        metrics = {metric.name: metric for metric in COSTS.metrics}
        for key, values in found.items():
            name, datname = key
            self._counters[key] = self._counters.get(key, 0.0) + _grown(self._before.get(key), values)
            yield metrics[name](self._counters[key], datname, OTHER)
        self._before |= found


def _grown(before: dict[str, float] | None, now: dict[str, float]) -> float:
    """How much all have grown, without what those grew that are listed now and were before."""
    if before is None:
        return 0.0
    listed = (now.keys() & before.keys()) - {OTHER}
    known = sum(now[queryid] - before[queryid] for queryid in listed)
    return max(now[OTHER] - before[OTHER] - known, 0.0)
