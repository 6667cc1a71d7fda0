"""Connects to a PostgreSQL server, directly or through a pooler, and translates errors."""

import json
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import asyncpg

from exporter.errors import TargetError, TargetMisconfigured, TargetRefused, TargetUnavailable
from exporter.postgres.parts.joined_statement import APPLICATION
from exporter.postgres.parts.server import FACTS, ServerInfo
from runbookd.inventory import Secret, SecretError

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

QUERY_ERRORS = (asyncpg.PostgresError, UnicodeDecodeError)
"""Errors that leave the connection usable: the query is at fault, or a text in the result.

Names of roles and databases arrive in the encoding that they were created in, which need not be UTF-8.
"""
DRIVER_ERRORS = (*QUERY_ERRORS, asyncpg.InterfaceError, OSError)
# A server keeps this setting; a pooler refuses or drops settings that it does not know.
_MARK = "runbook_exporter.direct"
# JSON contains no control characters, so with these COPY does not escape anything.
_DELIMITER, _QUOTE = "\x01", "\x02"
# Messages of the driver that never contain parts of the address, even if it was split at the wrong place.
_TLS_ERROR = re.compile("`ssl(mode|negotiation)` parameter must be|direct TLS requires|root certificate file ")


@dataclass(frozen=True)
class ServerConnection:
    """A connection, and the server at its other end.

    `pooled`: a pooler may run each statement in a different session. Statements cannot be prepared, and only the role's
    own limits apply.
    """

    connection: Connection
    server: ServerInfo
    pooled: bool


async def connect(secret: Secret, budget: float, database: str | None = None) -> ServerConnection:
    """Connect to `database` (None: the DSN's) within `budget` seconds.

    The budget also limits each reading.

    Raises:
        TargetError: with the reason, without secrets.
    """
    try:
        dsn = secret.read()
        connection = await _connect(dsn, database, budget)
    except SecretError as error:
        raise TargetMisconfigured(str(error)) from None
    except (*DRIVER_ERRORS, ValueError) as error:
        raise target_error(error) from None
    try:
        [[facts, mark]] = await fetch_rows(
            connection, f"SELECT {FACTS} AS facts, current_setting('{_MARK}', true) AS mark"
        )
    except BaseException as error:
        connection.terminate()
        if isinstance(error, DRIVER_ERRORS):
            raise target_error(error) from None
        raise
    return ServerConnection(connection, ServerInfo.of(facts), pooled=mark != "on")


async def _connect(dsn: str, database: str | None, budget: float) -> Connection:
    settings = {"application_name": APPLICATION}
    open_connection = partial(asyncpg.connect, dsn, database=database, timeout=budget)
    with suppress(asyncpg.ProtocolViolationError):  # a pooler's answer to settings that it does not know
        return await open_connection(server_settings={**settings, **_limits(budget), _MARK: "on"})
    return await open_connection(server_settings=settings)


def _limits(budget: float) -> Mapping[str, str]:
    """Return the session's limits, which the server enforces even if this process stops."""
    milliseconds = max(int(budget * 1000), 100)
    return {
        "default_transaction_read_only": "on",
        "statement_timeout": str(milliseconds // 2),
        "lock_timeout": str(milliseconds // 4),
        # Compiling would cost more than it saves.
        "jit": "off",
    }


async def fetch_rows(connection: Connection, sql: str) -> Sequence[Any]:
    """Return the rows of a query in one round trip, without a prepared statement.

    NaN arrives as text.

    Poolers support the simple protocol everywhere; the driver offers it for COPY only.
    """
    lines: list[bytes] = []

    async def collect(data: bytes) -> None:
        lines.append(data)

    query = f"SELECT to_json(answer) FROM ({sql}) AS answer"
    await connection.copy_from_query(
        query, output=collect, format="csv", delimiter=_DELIMITER, quote=_QUOTE, escape=_QUOTE
    )
    return [list(json.loads(line).values()) for line in b"".join(lines).splitlines()]


def query_error_text(error: asyncpg.PostgresError | UnicodeDecodeError) -> str:
    """Return the error of a query in one line."""
    if isinstance(error, UnicodeDecodeError):
        return "a name in the result (a role, database or table) is not UTF-8; rename it"
    return str(error).partition("\n")[0]


def target_error(error: Exception) -> TargetError:
    """Return `error` as ours, without a malformed address, which may contain the password."""
    if isinstance(error, ssl.SSLError):
        return TargetRefused(f"TLS: {error.reason or 'failed'}")
    if isinstance(error, TimeoutError):
        return TargetUnavailable("the connection timed out")
    if isinstance(error, FileNotFoundError | PermissionError):
        files = "a file that it names (socket, sslrootcert, sslcert, sslkey)"
        return TargetMisconfigured(f"dsn: cannot use {files}: {error.strerror}; correct its path or permissions")
    if isinstance(error, OSError):
        return TargetUnavailable(str(error))
    if isinstance(error, QUERY_ERRORS):
        return TargetRefused(query_error_text(error))
    if isinstance(error, ValueError) and not (
        isinstance(error, asyncpg.ClientConfigurationError) and _TLS_ERROR.match(str(error))
    ):
        return TargetMisconfigured("dsn: not an address; write it as postgresql://role:password@host:5432/database")
    return TargetMisconfigured(f"dsn: {error}")
