"""Connecting to a PostgreSQL server, straight or through a pooler, and telling people what went wrong."""

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
"""Errors after which the connection is as good as before: what was asked is at fault, or a text in the answer.

Names of roles and databases are bytes of the encoding in which somebody made them, and are passed on as they are.
"""
DRIVER_ERRORS = (*QUERY_ERRORS, asyncpg.InterfaceError, OSError)
# A pooler refuses or forgets what it does not know; a server keeps it.
_MARK = "runbook_exporter.direct"
# JSON has no control characters of its own, so that with these COPY adds nothing to it.
_DELIMITER, _QUOTE = "\x01", "\x02"
# The driver's words that hold nothing of the address, be it taken apart at the wrong place.
_TLS_ERROR = re.compile("`ssl(mode|negotiation)` parameter must be|direct TLS requires|root certificate file ")


@dataclass(frozen=True)
class ServerConnection:
    """A connection, and what is at its other end.

    `pooled`: a pooler may give each statement another session of the server. So nothing can be prepared, and limits
    hold only where the role has them.
    """

    connection: Connection
    server: ServerInfo
    pooled: bool


async def connect(secret: Secret, budget: float, database: str | None = None) -> ServerConnection:
    """Connect to `database` (None: that of the address) within `budget` seconds, which a reading may last then, too.

    Raises:
        TargetError: it did not work; tells why, and no secret.
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
    with suppress(asyncpg.ProtocolViolationError):  # a pooler says so of settings that it does not know
        return await open_connection(server_settings={**settings, **_limits(budget), _MARK: "on"})
    return await open_connection(server_settings=settings)


def _limits(budget: float) -> Mapping[str, str]:
    """What holds for the session even if this process is stopped: nothing is written, nothing runs past the budget."""
    milliseconds = max(int(budget * 1000), 100)
    return {
        "default_transaction_read_only": "on",
        "statement_timeout": str(milliseconds // 2),
        "lock_timeout": str(milliseconds // 4),
        # Compiling would cost more than it saves.
        "jit": "off",
    }


async def fetch_rows(connection: Connection, sql: str) -> Sequence[Any]:
    """Return the rows of a query in one round trip that leaves nothing prepared; numbers may come as words (NaN).

    The simple protocol is what poolers can take apart; the driver offers it for COPY alone.
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
    """Tell what is wrong with an answer, in a line."""
    if isinstance(error, UnicodeDecodeError):
        return "a name in the answer, as of a role, a database or a table, is not UTF-8; rename it"
    return str(error).partition("\n")[0]


def target_error(error: Exception) -> TargetError:
    """Tell what the server said; of an address that makes no sense nothing is repeated, it may hold the password."""
    if isinstance(error, ssl.SSLError):
        return TargetRefused(f"TLS: {error.reason or 'failed'}")
    if isinstance(error, TimeoutError):
        return TargetUnavailable("the connection timed out")
    if isinstance(error, FileNotFoundError | PermissionError):
        files = "a file that it names (socket, sslrootcert, sslcert, sslkey)"
        return TargetMisconfigured(f"dsn: {files} can not be used: {error.strerror}")
    if isinstance(error, OSError):
        return TargetUnavailable(str(error))
    if isinstance(error, QUERY_ERRORS):
        return TargetRefused(query_error_text(error))
    if isinstance(error, ValueError) and not (
        isinstance(error, asyncpg.ClientConfigurationError) and _TLS_ERROR.match(str(error))
    ):
        return TargetMisconfigured("dsn: is no address like postgresql://role:password@host:5432/database")
    return TargetMisconfigured(f"dsn: {error}")
