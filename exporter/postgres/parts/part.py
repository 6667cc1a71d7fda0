"""A part of the statement: rows of the server, and the metrics that each row gives.

A metric is written once: its name, its help and the SQL of its value. Labels, versions and the reference are derived
from these, so that there is one place to change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from exporter.metric import Metric
from exporter.postgres.parts.server import EXTENSION, EXTENSION_VERSIONS, VERSIONS, ServerInfo

Sql = str | Mapping[int, str]
"""SQL for all versions, or by the first version that it applies to; empty for versions without the value."""


def sql_for(sql: Sql, version: int) -> str:
    """Return the SQL for a version, empty where it has none."""
    if isinstance(sql, str):
        return sql
    firsts = [first for first in sql if first <= version]
    return sql[max(firsts)] if firsts else ""


@dataclass(frozen=True)
class Value:
    """A metric and the SQL of its value over its part's rows; NULL gives no sample."""

    name: str
    type: Literal["gauge", "counter"]
    help: str
    sql: Sql


def gauge(name: str, help: str, sql: Sql) -> Value:
    """Return the value of a metric that can go up and down."""
    return Value(name, "gauge", help, sql)


def counter(name: str, help: str, sql: Sql) -> Value:
    """Return the value of a metric that only grows until the server's statistics are reset."""
    return Value(name, "counter", help, sql)


@dataclass(frozen=True, eq=False)
class Part:
    """One SELECT of the statement.

    `rows` is its SQL from FROM on, `labels` the SQL of each label, `most` the maximum number of rows. `reads` names
    shared rows (`joined_statement.SHARED`). `sessions`: left out without the rights of pg_monitor, because the server
    would answer with zeros. `recovery`: for standbys only (True) or primaries only (False). `extension`: needs
    pg_stat_statements, and its versions are the extension's. `cached`: read in the background. `source` is where
    PostgreSQL documents the numbers.
    """

    name: str
    source: str
    values: tuple[Value, ...]
    rows: Sql = " "
    labels: Mapping[str, str] = field(default_factory=dict)
    most: int = 1
    reads: tuple[str, ...] = ()
    sessions: bool = False
    recovery: bool | None = None
    extension: bool = False
    cached: bool = False

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The part's metrics, in the order of `values`."""
        labels, ending = tuple(self.labels), " Cached." if self.cached else ""
        return tuple(
            Metric(value.name, value.type, f"{value.help}{ending}", labels, self.source, self._since(value))
            for value in self.values
        )

    def version_of(self, server: ServerInfo) -> int | None:
        """Return the version that selects this part's SQL, or None if `server` lacks the part."""
        if (self.sessions and not server.sees_sessions) or self.recovery is (not server.recovery):
            return None
        version = server.extension if self.extension else server.version
        return version if version is not None and sql_for(self.rows, version) else None

    def _since(self, value: Value) -> str:
        """Return the versions that have `value` in words, or nothing if all have it."""
        every: Sequence[int] = EXTENSION_VERSIONS if self.extension else VERSIONS
        having = [version for version in every if sql_for(self.rows, version) and sql_for(value.sql, version)]
        first, last = (
            f"{each // 100}.{each % 100}" if self.extension else str(each) for each in (having[0], having[-1])
        )
        versions = f"{first} to {last}" if having[-1] < every[-1] else f"{first} or newer"
        return f"{EXTENSION if self.extension else ''} {'' if having == list(every) else versions}".strip()
