"""Custom queries: SQL of the user whose rows become samples of custom metrics."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import timedelta
from typing import Annotated, Literal

from runbookd.inventory.constraints import Field, StringConstraints
from runbookd.inventory.durations import Duration
from runbookd.inventory.section import Name, Section, must_hold

PREFIX = "custom_"
"""The prefix of every custom metric: it cannot be mistaken for a metric of this or another exporter."""
VALUE = "value"
"""The default column."""
# Labels that the scrape or the exporter sets.
_RESERVED = frozenset({"stack", "target", "job", "instance", "le", "quantile"})
_SHORTEST = timedelta(seconds=1)
_LONGEST = timedelta(minutes=5)
MetricType = Literal["gauge", "counter"]
Help = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class QueryValue(Section):
    """A column of numbers and its meaning."""

    help: Help
    type: MetricType = "gauge"


class Query(Section):
    """One read-only SELECT of a PostgreSQL target, run in the background.

    The metric is `custom_NAME`, from the column `value`; or, with `values`, `custom_NAME_COLUMN` per column. A
    counter's name gets `_total`. `labels` are columns, too. The exporter reads at most `max_rows` rows.
    """

    sql: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    help: Help | None = None
    type: MetricType | None = None
    values: dict[Name, QueryValue] = field(default_factory=dict)
    labels: tuple[Name, ...] = ()
    database: str | None = None
    refresh: Duration = timedelta(minutes=1)
    timeout: Duration = timedelta(seconds=10)
    max_rows: Annotated[int, Field(ge=1, le=1000)] = 100

    @must_hold
    def _values_or_one_value(self) -> None:
        if self.values and (self.help is not None or self.type is not None):
            raise ValueError("help and type belong to each of the values; remove them here")
        if not self.values and self.help is None:
            raise ValueError(f"needs help (the meaning of the column {VALUE!r}), or values with help for each column")

    @must_hold
    def _labels_are_free(self) -> None:
        if reserved := sorted(_RESERVED & set(self.labels)):
            raise ValueError(f"labels: {reserved[0]!r} is reserved; rename the column with AS")
        if duplicates := [label for label in self.labels if label in self.columns() or self.labels.count(label) > 1]:
            raise ValueError(f"labels: the column {duplicates[0]!r} is listed twice; keep one")

    @must_hold
    def _times_make_sense(self) -> None:
        if self.refresh < _SHORTEST or not _SHORTEST <= self.timeout <= _LONGEST:
            raise ValueError("refresh must be at least 1s, timeout between 1s and 5m")

    def columns(self) -> Mapping[str, QueryValue]:
        """Return the columns of numbers."""
        return self.values or {VALUE: QueryValue(help=self.help or "", type=self.type or "gauge")}

    def metric(self, name: str, column: str) -> str:
        """Return the metric name of `column` in the query `name`."""
        ending = "_total" if self.columns()[column].type == "counter" else ""
        base = f"{PREFIX}{name}_{column}" if self.values else f"{PREFIX}{name}"
        return base if base.endswith(ending) else f"{base}{ending}"


def conflicts(queries: Iterable[tuple[str, str, Query]]) -> Iterator[str]:
    """Yield the conflicts between queries, given as (path of the target, name, query).

    A metric must have one type and the same labels everywhere. Within a target, only one query may define it, or
    their samples would be the same series.
    """
    seen: dict[str, tuple[str, str, tuple[str, ...], MetricType]] = {}
    for target, name, query in queries:
        for column, value in query.columns().items():
            metric = query.metric(name, column)
            use = (target, f"{target}.queries.{name}", query.labels, value.type)
            first_use = seen.setdefault(metric, use)
            if first_use[1] != use[1] and (first_use[0] == use[0] or first_use[2:] != use[2:]):
                yield (
                    f"{use[1]} and {first_use[1]} both define {metric}, "
                    "which needs one type, the same labels, and one query per target; rename one"
                )
