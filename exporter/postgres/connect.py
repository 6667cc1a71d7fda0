"""Connects to a PostgreSQL server, directly or through a pooler, and translates errors."""

import codecs
import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import asyncpg

from exporter.errors import TargetError, TargetMisconfigured, TargetRefused, TargetUnavailable
from exporter.postgres.parts.joined_statement import APPLICATION
from exporter.postgres.parts.server import FACTS, ServerInfo
from runbookd.addresses import AddressError, log_dropped
from runbookd.addresses.postgres import PostgresAddress, read_postgres_address
from runbookd.inventory import Secret, SecretError
from runbookd.network_errors import network_error_text

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

QUERY_ERRORS = (asyncpg.PostgresError, UnicodeDecodeError)
"""Errors that leave the connection usable: the query is at fault, or a text in the result.

Names of roles and databases arrive in the encoding that they were created in, which need not be UTF-8.
"""
NOT_UTF8 = "names of roles, databases or tables that are not UTF-8 are left out; rename them"
DRIVER_ERRORS = (*QUERY_ERRORS, asyncpg.InterfaceError, OSError)
# A server keeps this setting; a pooler refuses or drops settings that it does not know.
_MARK = "runbook_exporter.direct"
# Answers to a setting that a server, pooler or managed service does not know or allow. Their wording differs.
_REFUSED_SETTING = (
    asyncpg.ProtocolViolationError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.UndefinedObjectError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.CantChangeRuntimeParamError,
    asyncpg.InvalidParameterValueError,
)
_STATEMENT_MODE = "the pooler allows no transactions; set pool_mode to transaction or session, or address the server"
_ADMIN_DATABASE = (
    "this is the admin database of a pooler, not one of a server; end the address with the name of a database"
)
_OTHER_SERVER = "no server of the address is one that target_session_attrs asks for; start it, or correct the parameter"
# The admin database of pgbouncer states this as part of its version.
_ADMIN_VERSION = "bouncer"
# JSON contains no control characters, so with these COPY does not escape anything.
_DELIMITER, _QUOTE = "\x01", "\x02"
# Messages of the driver that never contain parts of the address, even if it was split at the wrong place.
_TLS_ERROR = re.compile("`ssl(mode|negotiation)` parameter must be|direct TLS requires|root certificate file ")


@dataclass(frozen=True)
class ServerConnection:
    """A connection, and the server at its other end.

    `pooled`: a pooler may run each statement in a different session. Statements cannot be prepared, and only the role's
    own limits apply. `in_transaction`: each query needs a transaction of its own, because the role's default isolation
    is refused.
    """

    connection: Connection
    server: ServerInfo
    pooled: bool
    in_transaction: bool = False

    async def fetch(self, sql: str) -> "QueryResult":
        """Return the rows of a query without a prepared statement; it fails as a whole or returns all rows."""
        return await (fetch_in_transaction if self.in_transaction else fetch_rows)(self.connection, sql)


async def connect(secret: Secret, budget: float, database: str | None = None) -> ServerConnection:
    """Connect to `database` (None: the DSN's) within `budget` seconds.

    The budget also limits each reading.

    Raises:
        TargetError: with the reason, without secrets.
    """
    address = _read_address(secret)
    try:
        connection = await _connect(address.driver_url, database, budget)
    except (*DRIVER_ERRORS, ValueError, asyncpg.TargetServerAttributeNotMatched) as error:
        raise target_error(error, address.hide) from None
    try:
        return await _inspect(connection)
    except BaseException as error:
        connection.terminate()
        if isinstance(error, DRIVER_ERRORS):
            raise target_error(error) from None
        raise


def _read_address(secret: Secret) -> PostgresAddress:
    try:
        address = read_postgres_address(secret.read())
    except SecretError as error:
        raise TargetMisconfigured(str(error)) from None
    except AddressError as error:
        raise TargetMisconfigured(f"{secret.key}: {error}") from None
    log_dropped(secret.key, address.unused_by_driver)
    return address


async def _inspect(connection: Connection) -> ServerConnection:
    """Read what decides how the server is read. A pooler keeps the role's isolation, which a standby may refuse."""
    if _ADMIN_VERSION in getattr(connection.get_settings(), "server_version", ""):
        raise TargetRefused(_ADMIN_DATABASE)
    sql = f"SELECT {FACTS} AS facts, current_setting('{_MARK}', true) AS mark"
    in_transaction = False
    try:
        [[facts, mark]] = (await fetch_rows(connection, sql)).rows
    except asyncpg.FeatureNotSupportedError:
        in_transaction = True
        [[facts, mark]] = (await fetch_in_transaction(connection, sql)).rows
    if mark != "on":
        await _refuse_statement_mode(connection)
    return ServerConnection(connection, ServerInfo.of(facts), pooled=mark != "on", in_transaction=in_transaction)


async def _refuse_statement_mode(connection: Connection) -> None:
    """Raise TargetRefused if the pooler allows no transactions, which the background jobs need."""
    try:
        await connection.execute("BEGIN READ ONLY")
        await connection.execute("ROLLBACK")
    except asyncpg.PostgresError as error:
        raise TargetRefused(f"{_STATEMENT_MODE}: {query_error_text(error)}") from None


async def _connect(dsn: str, database: str | None, budget: float) -> Connection:
    """Connect with all settings, or with those that the server or pooler accepts."""
    name = {"application_name": APPLICATION}
    open_connection = partial(asyncpg.connect, dsn, database=database, timeout=budget)
    for settings in ({**name, **_limits(budget), _MARK: "on"}, name):
        with suppress(*_REFUSED_SETTING):
            return await open_connection(server_settings=settings)
    return await open_connection()


def _limits(budget: float) -> Mapping[str, str]:
    """Return the session's limits, which the server enforces even if this process stops."""
    milliseconds = max(int(budget * 1000), 100)
    return {
        "default_transaction_read_only": "on",
        # A role may have another default; a standby refuses serializable, and deferrable waits.
        "default_transaction_isolation": "read committed",
        "default_transaction_deferrable": "off",
        "statement_timeout": str(milliseconds // 2),
        "lock_timeout": str(milliseconds // 4),
        # Compiling would cost more than it saves.
        "jit": "off",
        # Fewer digits would round sizes and times.
        "extra_float_digits": "1",
    }


@dataclass(frozen=True)
class QueryResult:
    """The rows of a query, and the number of those left out because a text in them is not UTF-8.

    Names of roles and databases arrive in the encoding that they were created in.
    """

    rows: Sequence[Any]
    left_out: int = 0


async def fetch_rows(connection: Connection, sql: str) -> QueryResult:
    """Return the rows of a query as `_copy_rows` does, whatever bytes the names in a database of any encoding hold.

    A server that has to convert them refuses a whole result for one name that it cannot, unless the client asks for the
    bytes.
    """
    encoding = server_encoding(connection)
    if encoding == "UTF8":
        return await _copy_rows(connection, sql)
    await connection.execute("SET client_encoding = 'SQL_ASCII'")
    try:
        return await _copy_rows(connection, sql, python_codec(encoding))
    finally:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError):  # a failed transaction undoes it by itself
            await connection.execute("SET client_encoding = 'UTF8'")


def server_encoding(connection: Connection) -> str:
    """Return the encoding of the connected database, by PostgreSQL's name."""
    return str(getattr(connection.get_settings(), "server_encoding", "UTF8"))


def python_codec(encoding: str) -> str:
    """Return Python's name of an encoding of PostgreSQL; UTF-8 for those without, such as SQL_ASCII."""
    with suppress(LookupError):
        return codecs.lookup(encoding.replace("WIN", "cp")).name
    return "utf-8"


async def _copy_rows(connection: Connection, sql: str, codec: str = "utf-8") -> QueryResult:
    """Return the rows of a query in one round trip, without a prepared statement.

    NaN arrives as text.

    Poolers support the simple protocol everywhere; the driver offers it for COPY only.
    """
    chunks: list[bytes] = []

    async def collect(data: bytes) -> None:
        chunks.append(data)

    query = f"SELECT to_json(answer) FROM ({sql}) AS answer"
    await connection.copy_from_query(
        query, output=collect, format="csv", delimiter=_DELIMITER, quote=_QUOTE, escape=_QUOTE
    )
    lines = b"".join(chunks).splitlines()
    rows = [row for line in lines for row in _parse_line(line, codec)]
    return QueryResult(rows, len(lines) - len(rows))


async def fetch_in_transaction(connection: Connection, sql: str) -> QueryResult:
    """Return the rows of a query in a transaction of its own."""
    await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
    try:
        return await fetch_rows(connection, sql)
    finally:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")


def _parse_line(line: bytes, codec: str) -> Iterator[list[Any]]:
    """Yield the row in a line, unless a name in it is in another encoding."""
    with suppress(UnicodeDecodeError):
        yield list(json.loads(line.decode(codec)).values())


def query_error_text(error: asyncpg.PostgresError | UnicodeDecodeError) -> str:
    """Return the error of a query in one line."""
    if isinstance(error, UnicodeDecodeError):
        return "a name in the result (a role, database or table) is not UTF-8; rename it"
    return str(error).partition("\n")[0]


def target_error(error: Exception, hide: Callable[[str], str] = str) -> TargetError:
    """Return `error` as ours, without a malformed address, which may contain the password.

    `hide` removes the password from the server's own words.
    """
    if isinstance(error, ssl.SSLError):
        return TargetRefused(f"TLS: {error.reason or 'failed'}")
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return TargetRefused(_OTHER_SERVER)
    if isinstance(error, TimeoutError):
        return TargetUnavailable("the connection timed out")
    if isinstance(error, FileNotFoundError | PermissionError):
        files = "a file that it names (socket, sslrootcert, sslcert, sslkey)"
        return TargetMisconfigured(f"dsn: cannot use {files}: {error.strerror}; correct its path or permissions")
    if isinstance(error, OSError):
        return TargetUnavailable(network_error_text(error))
    if isinstance(error, QUERY_ERRORS):
        return TargetRefused(hide(query_error_text(error)))
    if isinstance(error, ValueError) and not (
        isinstance(error, asyncpg.ClientConfigurationError) and _TLS_ERROR.match(str(error))
    ):
        return TargetMisconfigured("dsn: not an address; write it as postgresql://role:password@host:5432/database")
    return TargetMisconfigured(f"dsn: {error}")
