"""Converts a PostgreSQL address to libpq's environment variables.

This keeps the password off the command line.

https://www.postgresql.org/docs/current/libpq-envars.html
"""

from urllib.parse import parse_qsl, unquote, urlsplit

from runbookd.inventory.urls import PRISMA_PARAMETERS

_SCHEMES = ("postgresql", "postgres")
_VARIABLES = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "gssencmode": "PGGSSENCMODE",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "service": "PGSERVICE",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}
CONNECT_SECONDS = "10"
NOT_AN_ADDRESS = "is not an address of the form postgresql://user:password@host:port/database"


def libpq_environment(dsn: str) -> dict[str, str]:
    """Return the variables equivalent to `dsn`, a URL with the scheme postgresql.

    Raises:
        ValueError: `dsn` has no equivalent; the message quotes only the name of a parameter.
    """
    try:
        parts = urlsplit(dsn)
    except ValueError:  # its message could quote the password
        raise ValueError(NOT_AN_ADDRESS) from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(NOT_AN_ADDRESS)
    values = {**_authority_variables(parts.netloc), **_query_variables(parts.query)}
    if database := unquote(parts.path.removeprefix("/")):
        values.setdefault("PGDATABASE", database)
    values.setdefault("PGCONNECT_TIMEOUT", CONNECT_SECONDS)
    if any("\0" in value for value in values.values()):
        raise ValueError("contains a zero byte; remove it")
    return values


def _authority_variables(netloc: str) -> dict[str, str]:
    credentials, _, host_list = netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    hosts, ports = zip(*(_host_and_port(place) for place in host_list.split(",")), strict=True)
    values = {
        "PGUSER": unquote(user),
        "PGPASSWORD": unquote(password),
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


def _query_variables(query: str) -> dict[str, str]:
    values = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in PRISMA_PARAMETERS:
            continue
        if name not in _VARIABLES:
            raise ValueError(f"has the parameter {name}, which libpq has no environment variable for; remove it")
        values[_VARIABLES[name]] = value
    return values
