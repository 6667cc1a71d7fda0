"""PostgreSQL, in one statement and one round trip a scrape. What is asked is in `exporter.postgres`.

The metrics that postgres_exporter has in a well-formed shape keep its names and meaning.
"""

from collections.abc import Iterable

from exporter.collector import Collector, secret_problem
from exporter.job import Jobs
from exporter.metric import Metric, gauge
from exporter.postgres.client import PART_SUCCESS, PostgresClient
from exporter.postgres.connect import Connection, connect, target_error
from exporter.postgres.database_jobs import DATABASE_SUCCESS, part_jobs
from exporter.postgres.other_statements import OtherStatements
from exporter.postgres.part_faults import PartFaults
from exporter.postgres.parts.catalogue import BACKGROUND_PARTS, SCRAPE_PARTS
from exporter.postgres.session import PostgresSession
from exporter.postgres.user_queries import query_jobs
from runbookd.inventory import Stack

UP = gauge("pg_up", "Whether the PostgreSQL server answers (1).")
MAX_SERIES_BY_METRIC = {
    UP.name: 1,
    PART_SUCCESS.name: len(SCRAPE_PARTS),
    **{metric.name: part.most for part in SCRAPE_PARTS for metric in part.metrics},
}
"""The most series of what a scrape reads; the jobs tell of themselves."""


class PostgresCollector(Collector):
    """A PostgreSQL server, 13 or newer."""

    metrics = (
        UP,
        PART_SUCCESS,
        DATABASE_SUCCESS,
        *(metric for part in (*SCRAPE_PARTS, *BACKGROUND_PARTS) for metric in part.metrics),
    )
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        target = stack.postgres[name]
        self._dsn = target.dsn_secret()
        self._faults, self._other_statements = PartFaults(), OtherStatements()
        self.fast = self._connect
        self.jobs = Jobs(lambda: PostgresSession(self._open, target_error), (*part_jobs(target), *query_jobs(target)))

    async def _connect(self, budget: float) -> PostgresClient:
        session = await connect(self._dsn, budget, _limits(budget))
        client = PostgresClient(session, budget, self._faults, self._other_statements)
        await client.prepare()
        return client

    async def _open(self, database: str | None, budget: float) -> Connection:
        return (await connect(self._dsn, budget, _limits(budget), database)).connection

    def most_series(self, metric: Metric) -> int:
        return MAX_SERIES_BY_METRIC.get(metric.name, 0)

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        return secret_problem(self._dsn)


def _limits(budget: float) -> dict[str, str]:
    """What holds for the session even if this process is stopped: nothing is written, nothing runs past the budget."""
    milliseconds = max(int(budget * 1000), 100)
    return {
        "default_transaction_read_only": "on",
        "statement_timeout": str(milliseconds // 2),
        "lock_timeout": str(milliseconds // 4),
        # Compiling would cost more than it saves.
        "jit": "off",
    }
