"""PostgreSQL: sessions, locks, limits and hit counters, in one statement and one round trip.

The metrics that postgres_exporter has in a well-formed shape keep its names and meaning.
"""

import re
import ssl
from collections.abc import Iterable
from importlib import resources

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from exporter.collectors.base import Client, Collector, Reading, unreadable
from exporter.errors import TargetError, TargetMisconfigured, TargetRefused, TargetUnreachable
from exporter.job import Jobs
from exporter.metric import Metric, counter, gauge
from exporter.postgres.background import PostgresSession
from exporter.postgres.queries import query_jobs
from inventory import SecretError, Stack

UP = gauge("pg_up", "Whether the PostgreSQL server answers (1).")
METRICS = (
    UP,
    gauge(
        "pg_role_can_see_all_sessions",
        "Whether the exporter's role has the rights of pg_monitor (1); without them no metric about sessions exists.",
    ),
    gauge("pg_settings_max_connections", "Connections that the server allows, reserved ones included."),
    gauge("pg_settings_superuser_reserved_connections", "Connections that only superusers can get."),
    gauge("pg_connections", "Client connections by database and state.", "datname", "state"),
    gauge(
        "pg_idle_in_transaction_max_age_seconds",
        "How long the session that is idle in a transaction longest (aborted ones too) has been so, in seconds; "
        "0 without one.",
        "datname",
    ),
    gauge("pg_query_max_age_seconds", "Age of the oldest running query, in seconds; 0 without one.", "datname"),
    gauge("pg_sessions_blocked", "Client sessions that wait for a lock."),
    gauge("pg_blocked_max_age_seconds", "The longest wait for a lock that goes on now, in seconds; 0 without one."),
    counter("pg_stat_database_blks_hit_total", "Blocks found in PostgreSQL's own cache.", "datname"),
    counter("pg_stat_database_blks_read_total", "Blocks that had to be read from outside its cache.", "datname"),
    counter("pg_stat_database_deadlocks_total", "Deadlocks that the server broke.", "datname"),
)
_BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
_PART = re.compile(r"^-- .+ --$", re.MULTILINE)


def _statement() -> str:
    _, *parts = _PART.split(resources.files(__package__).joinpath("postgres.sql").read_text(encoding="utf-8"))
    return "\nUNION ALL\n".join(part.strip() for part in parts)


class PostgresClient(Client):
    """One connection with the statement prepared."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", statement: "PreparedStatement") -> None:
        self._connection, self._statement = connection, statement

    @property
    def usable(self) -> bool:
        return not self._connection.is_closed()

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - ages are computed by the server, on its own clock
        try:
            rows = await self._statement.fetch()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise _worded(error) from None
        return Reading(tuple(_BY_NAME[name](value, *labels) for name, labels, value in rows), round_trips=1)

    async def close(self) -> None:
        # Not close(): that waits for the server to say goodbye, and a stuck one never does.
        self._connection.terminate()


class PostgresCollector(Collector):
    """A PostgreSQL server, 14 or newer."""

    metrics = METRICS
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        target = stack.postgres[name]
        self._dsn = target.dsn_secret()
        self.fast = self._connect
        self.jobs = Jobs(lambda: PostgresSession(self._open, _worded), query_jobs(target))

    async def _connect(self, budget: float) -> PostgresClient:
        connection = await self._open(None, budget)
        try:
            return PostgresClient(connection, await connection.prepare(_statement()))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            connection.terminate()
            raise _worded(error) from None

    async def _open(self, database: str | None, budget: float) -> "asyncpg.Connection[asyncpg.Record]":
        try:
            settings = _settings(budget)
            return await asyncpg.connect(self._dsn.read(), database=database, timeout=budget, server_settings=settings)
        except SecretError as error:
            raise TargetMisconfigured(str(error)) from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise _worded(error) from None

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        return unreadable(self._dsn)


def _settings(budget: float) -> dict[str, str]:
    """What holds for the session even if this process is stopped: nothing is written, nothing runs past the budget."""
    milliseconds = max(int(budget * 1000), 100)
    return {
        "application_name": "runbook-exporter",
        "default_transaction_read_only": "on",
        "statement_timeout": str(milliseconds),
        "lock_timeout": str(milliseconds // 2),
    }


def _worded(error: Exception) -> TargetError:
    """Tell what the server said; of an address that makes no sense nothing is repeated, it may hold the password."""
    if isinstance(error, ssl.SSLError):
        return TargetRefused(f"TLS: {error.reason or 'failed'}")
    if isinstance(error, TimeoutError):
        return TargetUnreachable("the connection timed out")
    if isinstance(error, FileNotFoundError | PermissionError):
        what = "a file that it names (socket, sslrootcert, sslcert, sslkey)"
        return TargetMisconfigured(f"dsn: {what} can not be used: {error.strerror}")
    if isinstance(error, OSError):
        return TargetUnreachable(str(error))
    if isinstance(error, asyncpg.PostgresError):
        return TargetRefused(str(error).partition("\n")[0])
    if isinstance(error, asyncpg.ClientConfigurationError | ValueError) and not re.search(
        "ssl|certificate", str(error)
    ):
        return TargetMisconfigured("dsn: is no address like postgresql://role:password@host:5432/database")
    return TargetMisconfigured(f"dsn: {error}")
