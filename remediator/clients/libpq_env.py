"""Converts a PostgreSQL address to libpq's environment variables.

This keeps the password off the command line.

https://www.postgresql.org/docs/current/libpq-envars.html
"""

from collections.abc import Mapping
from urllib.parse import unquote

from runbookd.addresses import AddressError, MalformedAddress, log_dropped
from runbookd.addresses.postgres import PostgresAddress, read_postgres_address

_VARIABLES = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "hostaddr": "PGHOSTADDR",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "sslcert": "PGSSLCERT",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
CONNECT_SECONDS = "10"
NOT_AN_ADDRESS = "is not an address of the form postgresql://user:password@host:port/database"


def libpq_environment(dsn: str) -> dict[str, str]:
    """Return the variables equivalent to `dsn`, an address in any form that `read_postgres_address` reads.

    Raises:
        ValueError: `dsn` has no equivalent; the message quotes only the name of a parameter.
    """
    try:
        address = read_postgres_address(dsn)
    except MalformedAddress:
        raise ValueError(NOT_AN_ADDRESS) from None
    except AddressError as error:
        raise ValueError(f"is refused: {error}") from None
    log_dropped("dump.dsn", address.dropped)
    values = {**_authority_variables(address), **_parameter_variables(address.parameters)}
    values.setdefault("PGCONNECT_TIMEOUT", CONNECT_SECONDS)
    if any("\0" in value for value in values.values()):
        raise ValueError("contains a zero byte; remove it")
    return values


def _authority_variables(address: PostgresAddress) -> dict[str, str]:
    hosts, ports = zip(*(_host_and_port(place) for place in address.hosts.split(",")), strict=True)
    values = {
        "PGUSER": address.user,
        "PGPASSWORD": address.password,
        "PGDATABASE": address.database,
        "PGHOST": unquote(",".join(hosts)) if any(hosts) else "",
        "PGPORT": ",".join(ports) if any(ports) else "",
    }
    return {name: value for name, value in values.items() if value}


def _host_and_port(place: str) -> tuple[str, str]:
    if place.startswith("["):  # IPv6
        host, _, port = place[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = place.partition(":")
    return host, port


def _parameter_variables(parameters: Mapping[str, str]) -> dict[str, str]:
    values = {}
    for name, value in parameters.items():
        if name not in _VARIABLES:
            raise ValueError(f"has the parameter {name}, which libpq has no environment variable for; remove it")
        values[_VARIABLES[name]] = value
    return values
