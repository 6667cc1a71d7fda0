"""Reads a search cluster: its health in one request, its indices and aliases in two."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from exporter.collector import Client, Reading
from exporter.errors import TargetRefused
from exporter.metric import Rows, Sample
from exporter.search import metrics
from exporter.search.changes import Changes
from exporter.search.connection import SearchConnection

COLORS = ("green", "yellow", "red")
_HEALTH = "/_cluster/health?timeout=1s"
_ODD_ALIASES = "aliases: the answer to /_alias is not that of a cluster; check the proxies before it"
_FIELDS = ("primaries.docs", "primaries.indexing.index_total", "primaries.store.size_in_bytes", "total.search")
_INDEX_METRICS = (
    metrics.DOCS,
    metrics.SIZE,
    metrics.SEARCHES,
    metrics.SEARCH_SECONDS,
    metrics.INDEXED,
    metrics.CHANGED,
)


class HealthClient(Client):
    """Reads the cluster's health."""

    def __init__(self, connection: SearchConnection) -> None:
        self._connection = connection

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - the health has no age
        """Read the color and the numbers of nodes and shards."""
        health = await self._connection.get(_HEALTH)
        if not isinstance(health, dict) or health.get("status") not in COLORS:
            raise TargetRefused("the answer has no status of a cluster; check that the address is that of its root")
        colors = [metrics.HEALTH(color == health["status"], color) for color in COLORS]
        return Reading((*colors, *_numbers(health)), round_trips=1)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()


class IndexClient(Client):
    """Reads the indices that match the patterns, and the aliases; `changes` is kept across readings."""

    def __init__(
        self, connection: SearchConnection, indices: Sequence[str], aliases: Sequence[str], changes: Changes
    ) -> None:
        self._connection, self._indices, self._aliases, self._changes = connection, indices, aliases, changes

    async def read(self, now: float) -> Reading:
        """Read the statistics of the indices, and where the aliases lead."""
        stats = await self._connection.get(_stats_path(self._indices))
        rows = [self._row(name, found, now) for name, found in sorted(_indices(stats))]
        self._changes.forget_all_but([name for (name,), _ in rows])
        indices = Rows(_INDEX_METRICS, rows)
        if not self._aliases:
            return Reading((indices,), round_trips=1)
        aliases = tuple(_alias_samples(self._aliases, await self._connection.get(_alias_path(self._aliases))))
        return Reading((indices, *aliases), round_trips=2, notes=() if aliases else (_ODD_ALIASES,))

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    def _row(self, name: str, found: Mapping[str, Any], now: float) -> tuple[tuple[str, ...], Sequence[float | None]]:
        docs, indexed = _number(found, "primaries.docs.count"), _number(found, "primaries.indexing.index_total")
        state = docs, _number(found, "primaries.docs.deleted"), indexed
        milliseconds = _number(found, "total.search.query_time_in_millis")
        seconds = None if milliseconds is None else milliseconds / 1000
        size, searches = _number(found, "primaries.store.size_in_bytes"), _number(found, "total.search.query_total")
        return (name,), (docs, size, searches, seconds, indexed, self._changes.last(name, state, now))


def _stats_path(indices: Sequence[str]) -> str:
    fields = ",".join(f"indices.*.{field}" for field in _FIELDS)
    listed = quote(",".join(indices), safe="*,")
    return f"/{listed}/_stats/docs,store,search,indexing?level=indices&ignore_unavailable=true&filter_path={fields}"


def _alias_path(aliases: Sequence[str]) -> str:
    return f"/_alias/{quote(','.join(aliases), safe=',')}"


def _indices(stats: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the open indices; those with a dot belong to the cluster itself.

    Raises:
        TargetRefused: the answer is not that of a cluster.
    """
    found = stats.get("indices", {}) if isinstance(stats, dict) else None
    if not isinstance(found, dict):
        raise TargetRefused("the answer to /_stats is not that of a cluster; check the proxies before it")
    for name, values in found.items():
        if isinstance(values, dict) and not name.startswith("."):
            yield name, values


def _alias_samples(aliases: Sequence[str], answer: Any) -> Iterator[Sample]:
    """Yield where each alias leads, or nothing if the answer is odd: 0 would say that searches fail."""
    found = _aliases_of_indices(answer)
    if found is None:
        return
    for alias in aliases:
        indices = [index for index, names in found.items() if alias in names]
        yield metrics.ALIAS(len(indices), alias)
        yield from (metrics.ALIAS_OF_INDEX(1, index, alias) for index in indices)


def _aliases_of_indices(answer: Any) -> Mapping[str, Mapping[str, Any]] | None:
    """Return the aliases of each index; the cluster names the missing ones in an error beside the others."""
    if not isinstance(answer, dict):
        return None
    entries = {name: each for name, each in answer.items() if not (name in ("error", "status") and _is_plain(each))}
    names = {name: each.get("aliases") for name, each in entries.items() if isinstance(each, dict)}
    found = {name: each for name, each in names.items() if isinstance(each, dict)}
    error = answer.get("error")
    is_odd = len(found) < len(entries) or (_is_plain(error) and "missing" not in str(error))
    return None if is_odd else found


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int)


def _numbers(health: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield the numbers that this version tells."""
    for field, metric in metrics.HEALTH_FIELDS.items():
        if (value := _number(health, field)) is not None:
            yield metric(value)


def _number(values: Mapping[str, Any], path: str) -> float | None:
    """Return the number at a place, or None: one odd field costs only itself."""
    value: Any = values
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return float(value) if is_number else None
