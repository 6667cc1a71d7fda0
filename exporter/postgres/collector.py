"""PostgreSQL: one statement in one round trip per scrape, and jobs in the background.

Metrics that postgres_exporter has in a well-formed shape keep its names and meaning; for the others,
alert_rules/compat/postgres_exporter.yml records the old names.
"""

from collections.abc import Iterable
from functools import partial

from exporter.collector import Collector, ScrapeReading
from exporter.job import Jobs
from exporter.metric import Metric, gauge
from exporter.postgres.client import CERT_EXPIRY, PART_SUCCESS, PostgresClient
from exporter.postgres.connect import Connection, connect
from exporter.postgres.database_jobs import DATABASE_SUCCESS, part_jobs
from exporter.postgres.other_statements import OtherStatements
from exporter.postgres.part_faults import PartFaults
from exporter.postgres.parts.catalogue import BACKGROUND_PARTS, SCRAPE_PARTS
from exporter.postgres.session import PostgresSession
from exporter.postgres.user_queries import query_jobs
from runbookd.addresses.postgres import read_postgres_address
from runbookd.inventory import Secret, Stack
from runbookd.inventory.secret_check import secret_problems

UP = gauge("pg_up", "Whether the PostgreSQL server answers (1).")
MAX_SERIES_BY_METRIC = {
    UP.name: 1,
    CERT_EXPIRY.name: 1,
    PART_SUCCESS.name: len(SCRAPE_PARTS),
    **{metric.name: part.most for part in SCRAPE_PARTS for metric in part.metrics},
}
"""Maximum series per metric of a scrape; each background job declares its own maximum."""


class PostgresCollector(Collector):
    """A PostgreSQL server, 13 or newer."""

    metrics = (
        UP,
        PART_SUCCESS,
        CERT_EXPIRY,
        DATABASE_SUCCESS,
        *(metric for part in (*SCRAPE_PARTS, *BACKGROUND_PARTS) for metric in part.metrics),
    )
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        target = stack.postgres[name]
        self._dsn = target.dsn_secret()
        self._faults, self._other_statements = PartFaults(), OtherStatements()
        self.scrape = ScrapeReading(self._connect)
        new_session = partial(PostgresSession, partial(_open, self._dsn))
        self.jobs = Jobs(new_session, (*part_jobs(target), *query_jobs(target)))

    def most_series(self, metric: Metric) -> int:
        """Return the maximum number of series of a scrape's metric, 0 for those of the jobs."""
        return MAX_SERIES_BY_METRIC.get(metric.name, 0)

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        """Return why the DSN cannot be read, if so."""
        return secret_problems(self._dsn, read_postgres_address)

    async def _connect(self, budget: float) -> PostgresClient:
        connection = await connect(self._dsn, budget)
        client = PostgresClient(connection, budget, self._faults, self._other_statements)
        await client.prepare()
        return client


async def _open(dsn: Secret, database: str | None, budget: float) -> Connection:
    return (await connect(dsn, budget, database)).connection
