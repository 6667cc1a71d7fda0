"""One statement of all the parts that a server can answer, and the samples of its rows.

A row is (number of the part, label values, values): one row per object of the server is much cheaper than one per
sample.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.metric import Metric, Row, Rows
from exporter.postgres.parts.part import Part, sql_for
from exporter.postgres.parts.server import FACTS, ServerInfo

APPLICATION = "runbook-exporter"
"""The application_name of the exporter's sessions. They count as connections, but their ages are left out."""
DATABASES = 50
"""Maximum databases of a server with metrics of their own: the connected one, and the oldest."""
TABLES = 100
"""Maximum tables of a database with metrics of their own: those with the most rows, live and dead."""

# Read once for all parts. Calling the functions behind the views avoids the views' joins.
SHARED: Mapping[str, str] = {
    "databases": f"""
SELECT oid, datname::text
FROM pg_database
WHERE datallowconn AND NOT datistemplate
ORDER BY datname <> current_database(), oid
LIMIT {DATABASES}""",
    "sessions": f"""
SELECT pid, datid, usesysid, state, backend_type, wait_event_type, xact_start, query_start, state_change, backend_xmin,
       backend_type = 'client backend' AS client,
       application_name = '{APPLICATION}' AND usesysid = to_regrole(quote_ident(session_user)) AS own
FROM pg_stat_get_activity(NULL)""",
    # Read once, because reading briefly blocks every lock of the server. A prepared transaction has no pid.
    "locks": """
SELECT *
FROM pg_lock_status()
WHERE pid IS DISTINCT FROM pg_backend_pid()""",
    # Reading the size of these relations would wait, also while another session waits for the lock.
    "locked": """
SELECT relation
FROM pg_locks
WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
    # The largest tables, without temporary ones. From the catalogs, because the view pg_stat_user_tables first joins
    # every index of every table.
    "tables": f"""
SELECT c.oid, n.nspname, c.relname, c.relfrozenxid, count(*) OVER () AS number
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
ORDER BY greatest(c.reltuples, pg_stat_get_live_tuples(c.oid)) + pg_stat_get_dead_tuples(c.oid) DESC,
         n.nspname, c.relname
LIMIT {TABLES}""",
}
_FACTS_ROW = f"SELECT -1 AS part, {FACTS}::text[] AS labels, ARRAY[]::float8[] AS values"
StatementRow = Iterable[Any]


@dataclass(frozen=True)
class Statement:
    """A joined statement, whose `text` returns rows (part, labels, values).

    Part -1 holds the server's facts.
    """

    parts: tuple[Part, ...]
    metrics: tuple[tuple[Metric, ...], ...]
    text: str

    @classmethod
    def of(cls, parts: Iterable[Part], server: ServerInfo) -> "Statement":
        """Join those of `parts` that `server` has."""
        parts_and_versions = [(part, version) for part in parts if (version := part.version_of(server)) is not None]
        selects = [
            _FACTS_ROW,
            *(_select(number, part, version) for number, (part, version) in enumerate(parts_and_versions)),
        ]
        text = _with({name for part, _ in parts_and_versions for name in part.reads}) + "\nUNION ALL\n".join(selects)
        return cls(
            tuple(part for part, _ in parts_and_versions),
            tuple(_metrics(part, version) for part, version in parts_and_versions),
            text.replace("{schema}", server.schema),
        )

    def server(self, rows: Iterable[StatementRow]) -> ServerInfo:
        """Return the facts that came with the rows."""
        return next(ServerInfo.of(labels) for part, labels, _ in rows if part < 0)

    def rows(self, rows: Iterable[StatementRow]) -> list[Rows]:
        """Return the rows of each part; NULL gives no value."""
        by_part: list[list[Row]] = [[] for _ in self.parts]
        for part, labels, values in rows:
            if part >= 0:
                by_part[part].append((tuple(labels), [None if each is None else float(each) for each in values]))
        return [Rows(metrics, each) for metrics, each in zip(self.metrics, by_part, strict=True)]


def _metrics(part: Part, version: int) -> tuple[Metric, ...]:
    pairs = zip(part.metrics, part.values, strict=True)
    return tuple(metric for metric, value in pairs if sql_for(value.sql, version))


def _select(number: int, part: Part, version: int) -> str:
    labels = ", ".join(part.labels.values())
    expressions = [sql for value in part.values if (sql := sql_for(value.sql, version))]
    values = ",\n    ".join(f"({sql})::float8" for sql in expressions)
    rows = sql_for(part.rows, version).strip()
    return f"(SELECT {number}, ARRAY[{labels}]::text[], ARRAY[\n    {values}\n]\n{rows})"


def _with(names: set[str]) -> str:
    """Return the WITH clause of shared rows.

    Materialized, because PostgreSQL would inline a source that is used once.
    """
    sources = [f"{name} AS MATERIALIZED ({sql}\n)" for name, sql in SHARED.items() if name in names]
    return f"WITH {', '.join(sources)}\n" if sources else ""
