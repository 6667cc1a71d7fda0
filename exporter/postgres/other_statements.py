"""The statements beyond the listed ones, as counters that never fall.

Their plain sum falls whenever a statement moves into the list or the server drops it, and Prometheus takes a fall for a
restart: it would count the whole sum as new. The exporter therefore exports the increase since its own start.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter.metric import Rows
from exporter.postgres.parts.top_statements import COSTS, OTHER

Costs = Sequence[float]
"""The values of a statement in the order of the metrics."""
DatabaseCosts = Mapping[str, Costs]
"""The values of a database's statements by ID, and their sums under `other`."""


class OtherStatements:
    """Turns the sums of all statements into counters of the unlisted ones."""

    def __init__(self) -> None:
        self._counters: dict[str, Costs] = {}
        self._previous: dict[str, DatabaseCosts] = {}

    def with_counters(self, groups: Iterable[Rows]) -> Iterator[Rows]:
        """Yield the rows; those of `other` get the counters' values."""
        for rows in groups:
            yield self._with_counters(rows) if COSTS.metrics[0] in rows.metrics else rows

    def _with_counters(self, rows: Rows) -> Rows:
        by_database: dict[str, dict[str, Costs]] = {}
        for (datname, queryid), values in rows.rows:
            by_database.setdefault(datname, {})[queryid] = [each or 0.0 for each in values]
        listed = [row for row in rows.rows if row[0][1] != OTHER]
        others = [((datname, OTHER), self._count(datname, costs)) for datname, costs in by_database.items()]
        self._previous |= by_database
        return Rows(rows.metrics, [*listed, *others])

    def _count(self, datname: str, costs: DatabaseCosts) -> Costs:
        increases = _increases(self._previous.get(datname), costs)
        counters = self._counters.get(datname, [0.0] * len(increases))
        self._counters[datname] = [sum(each) for each in zip(counters, increases, strict=True)]
        return self._counters[datname]


def _increases(before: DatabaseCosts | None, now: DatabaseCosts) -> Costs:
    """Return the increases of all statements, without those of the ones listed now and before."""
    if before is None:
        return [0.0] * len(now[OTHER])
    changed_ids = [queryid for queryid in now.keys() & before.keys() if now[queryid] != before[queryid]]
    growth = {queryid: _differences(now[queryid], before[queryid]) for queryid in changed_ids}
    all_statements = growth.pop(OTHER, [0.0] * len(now[OTHER]))
    listed = [sum(each) for each in zip(*growth.values(), strict=True)] or [0.0] * len(all_statements)
    return [max(each, 0.0) for each in _differences(all_statements, listed)]


def _differences(now: Costs, before: Costs) -> Costs:
    return [end - start for end, start in zip(now, before, strict=True)]
