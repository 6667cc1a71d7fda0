"""The collector's own jobs in the background: parts that are asked in one database after the other."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase

import structlog

from exporter.errors import LATE, TargetError, TargetRefused
from exporter.job import Job
from exporter.metric import Sample, gauge
from exporter.page import MAX_SERIES
from exporter.postgres.connect import ask
from exporter.postgres.parts.catalogue import OF_DATABASES, OF_FURTHER_DATABASES, OF_SERVER, OPTIONAL
from exporter.postgres.parts.part import Part
from exporter.postgres.parts.server import FACTS, Server
from exporter.postgres.parts.statement import DATABASES, Statement
from exporter.postgres.session import PostgresSession
from runbookd.inventory import PostgresTarget

VISITED = gauge(
    "runbook_exporter_database_success",
    "Whether a job in the background could read a database other than that of the address (1). Cached.",
    "name",
    "datname",
)
TIMEOUT = timedelta(minutes=1)
# As bytes: one name that is not UTF-8 would hide all others.
_OTHERS = f"""
SELECT encode(textsend(datname::text), 'hex')
FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> current_database() AND has_database_privilege(oid, 'CONNECT')
ORDER BY oid
LIMIT {DATABASES - 1}"""
log = structlog.get_logger(__name__)


def part_jobs(target: PostgresTarget) -> Iterator[Job[PostgresSession]]:
    """Yield the jobs of a target, before the users' own."""
    of_server = OF_SERVER | (OPTIONAL if target.statement_texts else {})
    for name, parts in of_server.items():
        yield _job(Visit(name, parts, home=True), target.refresh)
    for name, parts in OF_DATABASES.items():
        yield _job(Visit(name, parts, home=True, patterns=target.databases), target.refresh)
    if target.databases:
        for name, parts in OF_FURTHER_DATABASES.items():
            yield _job(Visit(name, parts, home=False, patterns=target.databases), target.refresh)


def _job(visit: "Visit", refresh: timedelta) -> Job[PostgresSession]:
    metrics = tuple(metric for part in visit.parts for metric in part.metrics)
    databases = DATABASES if visit.patterns else 1
    most = sum(min(part.most * databases, MAX_SERIES) * len(part.values) for part in visit.parts)
    visited = databases - 1
    return Job(visit.name, refresh, TIMEOUT, visit.run, (*metrics, VISITED), most + visited)


class Visit:
    """Asks parts in the database of the address (`home`), and in all others whose name meets one of `patterns`.

    A database that fails keeps what was last found there, and costs the others nothing.
    """

    def __init__(self, name: str, parts: Sequence[Part], *, home: bool, patterns: Sequence[str] = ()) -> None:
        self.name, self.parts, self.home, self.patterns = name, parts, home, patterns
        self._found: Mapping[str, Sequence[Sample]] = {}

    async def run(self, session: PostgresSession, until: float) -> Sequence[Sample]:
        """Ask everywhere. Raises TargetError if the database of the address gives no answer."""
        samples = list(await self._asked(session, until, None)) if self.home else []
        found: dict[str, Sequence[Sample]] = {}
        for datname in await self._others(session, until):
            found[datname] = await self._visited(session, until, datname)
        self._found = found
        return [*samples, *(sample for each in found.values() for sample in each)]

    async def _others(self, session: PostgresSession, until: float) -> Sequence[str]:
        if not self.patterns:
            return ()
        async with session.transaction(until) as connection:
            names = [bytes.fromhex(name).decode(errors="replace") for [name] in await ask(connection, _OTHERS)]
        return [name for name in names if any(fnmatchcase(name, pattern) for pattern in self.patterns)]

    async def _visited(self, session: PostgresSession, until: float, datname: str) -> Sequence[Sample]:
        try:
            if asyncio.get_running_loop().time() >= until:
                raise TargetRefused(LATE)
            return [*await self._asked(session, until, datname), VISITED(1, self.name, datname)]
        except TargetError as error:
            log.warning("database not read", job=self.name, datname=datname, reason=str(error))
            kept = [sample for sample in self._found.get(datname, ()) if sample.metric is not VISITED]
            return [*kept, VISITED(0, self.name, datname)]

    async def _asked(self, session: PostgresSession, until: float, database: str | None) -> Sequence[Sample]:
        async with session.transaction(until, database) as connection:
            [[facts]] = await ask(connection, f"SELECT {FACTS} AS facts")
            statement = Statement.of(self.parts, Server.of(facts))
            return list(statement.samples(await ask(connection, statement.text)))
