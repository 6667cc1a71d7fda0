"""Users' own SQL as background jobs.

The server enforces reading only: the transaction is read-only and rolled back, and the extended protocol takes one
statement at a time. A wrong query loses only its own samples, and its error names the remedy.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from exporter.errors import TargetRefused
from exporter.job import Job
from exporter.metric import Metric, Sample, gauge
from exporter.postgres.session import PostgresSession
from runbookd.inventory import PostgresTarget, Query

LEFT_OUT = gauge(
    "runbook_exporter_query_rows_left_out",
    "Rows of the last result that are not on the page: each row with the labels of an earlier row, and 1 if there are "
    "more than max_rows rows. Cached.",
    "query",
)
METRICS = (LEFT_OUT,)
LABEL_LENGTH = 128
"""Maximum characters of a label's value; a longer one ends in an ellipsis."""
_NUMBERS = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric", "bool", "oid"})


class QueryRow(Protocol):
    """A row of a result, indexed by column name."""

    def __getitem__(self, column: str, /) -> Any: ...


def query_jobs(target: PostgresTarget) -> tuple[Job[PostgresSession], ...]:
    """Return one job per query of the target."""
    return tuple(_job(name, query) for name, query in target.queries.items())


def _job(name: str, query: Query) -> Job[PostgresSession]:
    reader = QueryReader(name, query)
    metrics = (*reader.metrics.values(), *METRICS)
    most = len(reader.metrics) * query.max_rows + len(METRICS)
    return Job(f"queries.{name}", query.refresh, query.timeout, reader.run, metrics, most)


class QueryReader:
    """Runs one query, checks its columns and converts its rows to samples."""

    def __init__(self, name: str, query: Query) -> None:
        self.name, self.query = name, query
        self.metrics: Mapping[str, Metric] = {
            column: Metric(query.metric(name, column), value.type, _cached_help(value.help), query.labels)
            for column, value in query.columns().items()
        }

    async def run(self, session: PostgresSession, until: float) -> Sequence[Sample]:
        """Run the query once. Raises TargetError."""
        async with session.transaction(until, self.query.database) as connection:
            # Unnamed: behind a pooler, a named statement would stay on another client's connection.
            statement = await connection.prepare(self.query.sql, name="")
            self._check_columns({column.name: column.type.name for column in statement.get_attributes()})
            # The cursor stops the server there, so that a query without LIMIT does not read the whole table.
            rows = await (await statement.cursor()).fetch(self.query.max_rows + 1)
        return self.samples(rows)

    def samples(self, rows: Sequence[QueryRow]) -> Sequence[Sample]:
        """Return the samples of the rows, and the number of rows left out."""
        samples_by_labels: dict[tuple[str, ...], list[Sample]] = {}
        for row in rows[: self.query.max_rows]:
            labels = tuple(_label_text(row[label]) for label in self.query.labels)
            if labels not in samples_by_labels:
                values = ((metric, row[column]) for column, metric in self.metrics.items())
                samples_by_labels[labels] = [
                    metric(float(value), *labels) for metric, value in values if value is not None
                ]
        left_out = LEFT_OUT(len(rows) - len(samples_by_labels), self.name)
        return [*(sample for samples in samples_by_labels.values() for sample in samples), left_out]

    def _check_columns(self, columns: Mapping[str, str]) -> None:
        if missing := [name for name in (*self.query.labels, *self.metrics) if name not in columns]:
            has = f"only {', '.join(columns)}" if columns else "no columns"
            raise TargetRefused(f"sql returns no column {missing[0]!r}, {has}; name it with AS")
        if wrong := [name for name in self.metrics if columns[name] not in _NUMBERS]:
            raise TargetRefused(
                f"sql: the column {wrong[0]!r} is {columns[wrong[0]]}, not a number; "
                "cast it, or use extract(epoch from …) for a time"
            )


def _label_text(value: object) -> str:
    """Return a label's value; NULL becomes empty, which Prometheus takes for an absent label."""
    text = "" if value is None else str(value)
    return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 1]}…"


def _cached_help(help: str) -> str:
    return f"{help.rstrip('.')}. Cached."
