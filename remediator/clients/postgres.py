"""A connection to a PostgreSQL target, with timeouts that the server enforces too."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import asyncpg

from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope
from runbookd.addresses import AddressError, MalformedAddress, log_dropped
from runbookd.addresses.postgres import PostgresAddress, read_postgres_address
from runbookd.inventory import Secret, SecretError
from runbookd.network_errors import REMEDY, network_error_text

CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 2.0
# Identifies the remediator's sessions to operators, to the exporter and to the remediator's own exclusions.
APPLICATION = "runbook-remediator"
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def application_name(run: str) -> str:
    """Return the name under which `pg_stat_activity` shows the sessions of this run."""
    return f"{APPLICATION}:{run}"


@asynccontextmanager
async def connect(
    scope: Scope, secret: Secret | None = None, database: str | None = None
) -> AsyncIterator[asyncpg.Connection]:
    """Connect to the address in `secret`, by default the target's `admin_dsn`. It must not lead to a pooler.

    `database` replaces that of the address.

    Raises:
        TargetUnreachable: the address is missing, or no usable server answers there.
    """
    connection = await _connect(scope, secret or scope.stack.postgres[scope.target.name].admin_dsn_secret(), database)
    try:
        yield connection
    finally:
        await _close(connection)


@contextmanager
def translate_errors(scope: Scope) -> Iterator[None]:
    """Raise every error of the server, the network or the driver as TargetUnreachable."""
    try:
        yield
    except UnicodeDecodeError:  # names of roles arrive in the encoding in which they were created
        raise TargetUnreachable(
            f"{scope.target}: a name in the result is not UTF-8; rename the role or table"
        ) from None
    except _FAILURES as error:
        raise TargetUnreachable(f"{scope.target}: {_error_text(error)}") from error


async def _connect(scope: Scope, secret: Secret, database: str | None) -> asyncpg.Connection:
    address = _read_address(scope, secret)
    if database is not None:
        address = replace(address, database=database)
    try:
        return await asyncpg.connect(address.driver_url, timeout=CONNECT_SECONDS, server_settings=_settings(scope))
    except (ValueError, asyncpg.InterfaceError):
        # The driver's message could quote parts of the address, and with them the password.
        raise _not_an_address(scope, secret) from None
    except _FAILURES as error:
        raise TargetUnreachable(f"{scope.target}: {secret.key}: {address.hide(_error_text(error))}") from None


def _read_address(scope: Scope, secret: Secret) -> PostgresAddress:
    try:
        address = read_postgres_address(secret.read())
    except SecretError as error:
        raise TargetUnreachable(f"{scope.target}: {error}") from None
    except MalformedAddress:
        raise _not_an_address(scope, secret) from None
    except AddressError as error:
        raise TargetUnreachable(f"{scope.target}: {secret.key}: {error}") from None
    log_dropped(secret.key, address.unused_by_driver)
    return address


def _not_an_address(scope: Scope, secret: Secret) -> TargetUnreachable:
    return TargetUnreachable(
        f"{scope.target}: {secret.key} is not an address of the form postgresql://role:password@host:port/database"
    )


def _settings(scope: Scope) -> dict[str, str]:
    return {
        "application_name": application_name(scope.run),
        "statement_timeout": "10s",
        "lock_timeout": "2s",
        "idle_session_timeout": "60s",
    }


def _error_text(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{network_error_text(error)}; {REMEDY}"
    first_line = (str(error).splitlines() or [""])[0]
    return first_line or type(error).__name__


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except _FAILURES:
        connection.terminate()
