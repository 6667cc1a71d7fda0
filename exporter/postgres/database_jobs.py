"""The collector's own background jobs: they query parts in one database after the other."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase

import structlog

from exporter.clock import monotonic
from exporter.errors import DEADLINE_EXCEEDED, TargetError, TargetRefused
from exporter.job import Job
from exporter.metric import Rows, Sample, gauge
from exporter.postgres.connect import fetch_rows, python_codec, server_encoding
from exporter.postgres.parts.catalogue import DATABASE_JOBS, OPTIONAL_JOBS, OTHER_DATABASE_JOBS, SERVER_JOBS
from exporter.postgres.parts.joined_statement import DATABASES, Statement
from exporter.postgres.parts.part import Part
from exporter.postgres.parts.server import FACTS, ServerInfo
from exporter.postgres.session import PostgresSession
from exporter.series import MAX_SERIES
from runbookd.inventory import PostgresTarget

DATABASE_SUCCESS = gauge(
    "runbook_exporter_database_success",
    "Whether the background job could read the database (1); only databases other than the DSN's. Cached.",
    "name",
    "datname",
)
TIMEOUT = timedelta(minutes=1)
# As bytes, because one name that is not UTF-8 would make the whole result unreadable.
_OTHERS = f"""
SELECT encode(textsend(datname::text), 'hex')
FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> current_database() AND has_database_privilege(oid, 'CONNECT')
ORDER BY oid
LIMIT {DATABASES - 1}"""
log = structlog.get_logger(__name__)


def part_jobs(target: PostgresTarget) -> Iterator[Job[PostgresSession]]:
    """Yield the exporter's own jobs for a target."""
    of_server = SERVER_JOBS | (OPTIONAL_JOBS if target.statement_texts else {})
    for name, parts in of_server.items():
        yield _job(DatabaseJob(name, parts, home=True), target.refresh)
    for name, parts in DATABASE_JOBS.items():
        yield _job(DatabaseJob(name, parts, home=True, patterns=target.databases), target.refresh)
    if target.databases:
        for name, parts in OTHER_DATABASE_JOBS.items():
            yield _job(DatabaseJob(name, parts, home=False, patterns=target.databases), target.refresh)


def _job(database_job: "DatabaseJob", refresh: timedelta) -> Job[PostgresSession]:
    metrics = tuple(metric for part in database_job.parts for metric in part.metrics)
    databases = DATABASES if database_job.patterns else 1
    most = sum(min(part.most * databases, MAX_SERIES) * len(part.values) for part in database_job.parts)
    other_databases = databases - 1
    return Job(
        database_job.name, refresh, TIMEOUT, database_job.run, (*metrics, DATABASE_SUCCESS), most + other_databases
    )


class DatabaseJob:
    """Queries parts in the DSN's database (`home`) and in all that match one of `patterns`.

    A database that fails keeps its last samples and does not affect the others.
    """

    def __init__(self, name: str, parts: Sequence[Part], *, home: bool, patterns: Sequence[str] = ()) -> None:
        self.name, self.parts, self.home, self.patterns = name, parts, home, patterns
        self._last_rows: dict[str, Sequence[Rows]] = {}

    async def run(self, session: PostgresSession, until: float) -> Sequence[Sample | Rows]:
        """Query all databases. Raises TargetError if the DSN's database does not answer."""
        samples: list[Sample | Rows] = [*await self._query_parts(session, until, None)] if self.home else []
        names = await self._other_databases(session, until)
        self._last_rows = {name: rows for name, rows in self._last_rows.items() if name in names}
        for datname in names:
            samples += await self._read_database(session, until, datname)
        return samples

    async def _other_databases(self, session: PostgresSession, until: float) -> Sequence[str]:
        if not self.patterns:
            return ()
        async with session.transaction(until) as connection:
            codec = python_codec(server_encoding(connection))
            rows = (await fetch_rows(connection, _OTHERS)).rows
        names = [bytes.fromhex(name).decode(codec, errors="replace") for [name] in rows]
        return [name for name in names if any(fnmatchcase(name, pattern) for pattern in self.patterns)]

    async def _read_database(self, session: PostgresSession, until: float, datname: str) -> Sequence[Sample | Rows]:
        success = True
        try:
            if monotonic() >= until:
                raise TargetRefused(DEADLINE_EXCEEDED)
            self._last_rows[datname] = await self._query_parts(session, until, datname)
        except TargetError as error:
            log.warning("database not read", job=self.name, datname=datname, reason=str(error))
            success = False
        return [*self._last_rows.get(datname, ()), DATABASE_SUCCESS(success, self.name, datname)]

    async def _query_parts(self, session: PostgresSession, until: float, database: str | None) -> Sequence[Rows]:
        async with session.transaction(until, database) as connection:
            [[facts]] = (await fetch_rows(connection, f"SELECT {FACTS} AS facts")).rows
            statement = Statement.of(self.parts, ServerInfo.of(facts))
            return statement.rows((await fetch_rows(connection, statement.text)).rows)
