"""Passes a PostgreSQL address to a command of libpq without its command line, where others would see the password.

https://www.postgresql.org/docs/current/libpq-envars.html
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from runbookd.addresses import AddressError, log_dropped
from runbookd.addresses.postgres import PostgresAddress, read_postgres_address

VARIABLES: Mapping[str, str] = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssdelegation": "PGGSSDELEGATION",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "servicefile": "PGSERVICEFILE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
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
_SERVICE = "runbookd"
_SERVICE_FILE = "pg_service.conf"


@dataclass(frozen=True)
class LibpqConnection:
    """The connection of a command: environment variables, and a service file for parameters without one."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    service: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def password(self) -> str:
        """The password of the address; empty without one."""
        return self.variables.get("PGPASSWORD", "")

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the variables for a command; the service file, if needed, is written into `folder`."""
        if not self.service:
            return dict(self.variables)
        file = folder / _SERVICE_FILE
        lines = [f"[{_SERVICE}]", *(f"{name}={value}" for name, value in self.service.items())]
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write("\n".join(lines) + "\n")
        return {**self.variables, "PGSERVICE": _SERVICE, "PGSERVICEFILE": str(file)}


def libpq_connection(key: str, text: str) -> LibpqConnection:
    """Return the connection equivalent to the address under `key`.

    Raises:
        AddressError: it is not an address, or cannot be passed on; the message quotes none of its values.
    """
    address = read_postgres_address(text)
    log_dropped(key, address.dropped)
    parameters = _session_options(address.parameters)
    variables = {VARIABLES[name]: value for name, value in parameters.items() if name in VARIABLES}
    service = {name: value for name, value in parameters.items() if name not in VARIABLES}
    if service and "PGSERVICE" in variables:
        names = ", ".join(sorted(service))
        raise AddressError(f"the address has a service and {names}; write {names} into the service file")
    if any(not value.isprintable() for value in (*service.values(), *variables.values(), *_login(address).values())):
        raise AddressError("a control character is in the address; remove it")
    return LibpqConnection({"PGCONNECT_TIMEOUT": CONNECT_SECONDS, **_login(address), **variables}, service)


def _session_options(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Return the parameters with a search path as libpq takes it."""
    if "search_path" not in parameters:
        return parameters
    path = parameters["search_path"].replace("\\", "\\\\").replace(" ", "\\ ")
    others = {name: value for name, value in parameters.items() if name != "search_path"}
    return {**others, "options": f"{parameters.get('options', '')} -c search_path={path}".strip()}


def _login(address: PostgresAddress) -> Mapping[str, str]:
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
