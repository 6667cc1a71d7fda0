"""Reads a PostgreSQL address as psql, Prisma, node-postgres, JDBC, SQLAlchemy, pgx, Rails and others write it."""

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from runbookd.addresses import AddressError, MalformedAddress, hide_passwords, refuse_quotes, unknown_parameter

EXAMPLE = "postgresql://role:password@host:5432/database"
_MALFORMED = f"not an address; write it as {EXAMPLE}"
# libpq's parameters. The driver understands the first ones; it answers without the others.
DRIVER = frozenset(
    {
        *("krbsrvname", "gsslib", "options", "passfile", "service", "servicefile", "sslcert", "sslcrl", "sslkey"),
        *("sslmode", "sslnegotiation", "sslpassword", "sslrootcert", "ssl_max_protocol_version"),
        *("ssl_min_protocol_version", "target_session_attrs", "search_path"),
    }
)
LIBPQ_ONLY = frozenset(
    {
        *("application_name", "channel_binding", "client_encoding", "connect_timeout", "fallback_application_name"),
        *("gssdelegation", "gssencmode", "hostaddr", "keepalives", "keepalives_count", "keepalives_idle"),
        *("keepalives_interval", "load_balance_hosts", "max_protocol_version", "min_protocol_version"),
        *("oauth_client_id", "oauth_client_secret", "oauth_issuer", "oauth_scope", "replication", "require_auth"),
        *("requirepeer", "scram_client_key", "scram_server_key", "sslcertmode", "sslcompression", "sslcrldir"),
        *("sslkeylogfile", "sslsni", "tcp_user_timeout"),
    }
)
AUTHORITY = frozenset({"host", "port", "dbname", "database", "user", "username", "password"})
"""Parameters that stand for a part of the address before them."""
# Settings of other clients: pools, time limits, caches, and settings of the session that the daemons choose themselves.
DROPPED = frozenset(
    {
        # Prisma
        *("connection_limit", "max_connection_lifetime", "max_idle_connection_lifetime", "pgbouncer", "pool_timeout"),
        *("schema", "single_use_connections", "socket_timeout", "sslaccept", "sslidentity", "statement_cache_size"),
        # node-postgres, postgres.js, Supabase and Neon
        *("backoff", "binary", "connectionTimeoutMillis", "encoding", "fetch_types", "idleTimeoutMillis"),
        *("idle_timeout", "keepAlive", "keepAliveInitialDelayMillis", "max", "max_lifetime", "max_pipeline", "min"),
        *("pool_size", "prepare", "query_timeout", "supa", "uselibpqcompat", "workaround"),
        # Settings of the session
        *("TimeZone", "default_transaction_isolation", "default_transaction_read_only"),
        *("idle_in_transaction_session_timeout", "idle_session_timeout", "lock_timeout", "statement_timeout"),
        *("timezone",),
        # Doctrine and Laravel, lib/pq and sqlx
        *("binary_parameters", "charset", "disable_prepared_binary_result", "serverVersion"),
        *("statement-cache-capacity",),
        # Rails, Django, SQLAlchemy, psycopg and pgx
        *("advisory_locks", "command_timeout", "insert_returning", "max_cached_statement_lifetime"),
        *("max_connections", "min_connections", "min_messages", "prepare_threshold", "timeout"),
        *("async_fallback", "checkout_timeout", "conn_health_checks", "conn_max_age", "default_query_exec_mode"),
        *("description_cache_capacity", "pool", "pool_health_check_period", "pool_max_conn_idle_time"),
        *("pool_max_conn_lifetime", "pool_max_conn_lifetime_jitter", "pool_max_conns", "pool_min_conns"),
        *("pool_min_idle_conns", "pool_mode", "prepared_statement_cache_size", "prepared_statements"),
        *("reaping_frequency", "statement_cache_capacity"),
        # JDBC
        *("ApplicationName", "adaptiveFetch", "allowEncodingChanges", "assumeMinServerVersion", "autosave"),
        *("binaryTransfer", "binaryTransferDisable", "binaryTransferEnable", "cancelSignalTimeout", "channelBinding"),
        *("cleanupSavepoints", "connectTimeout", "databaseMetadataCacheFields", "databaseMetadataCacheFieldsMiB"),
        *("defaultRowFetchSize", "disableColumnSanitiser", "escapeSyntaxCallMode", "groupStartupParameters"),
        *("gssEncMode", "hideUnprivilegedObjects", "hostRecheckSeconds", "jaasLogin", "loadBalanceHosts"),
        *("localSocketAddress", "logUnclosedConnections", "loggerFile", "loggerLevel", "loginTimeout"),
        *("maxResultBuffer", "prepareThreshold", "preparedStatementCacheQueries", "preparedStatementCacheSizeMiB"),
        *("protocolVersion", "quoteReturningIdentifiers", "readOnly", "readOnlyMode", "reWriteBatchedInserts"),
        *("receiveBufferSize", "sendBufferSize", "socketFactory", "socketFactoryArg", "socketTimeout", "sslfactory"),
        *("sslfactoryarg", "sslhostnameverifier", "sslpasswordcallback", "sslResponseTimeout", "stringtype"),
        *("tcpKeepAlive", "tcpNoDelay", "unknownLength"),
        *("adaptiveFetchMaximum", "adaptiveFetchMinimum", "convertBooleanToNumeric", "gssResponseTimeout"),
        *("logServerErrorDetail", "maxSendBufferSize", "preferQueryMode", "requireAuth", "xmlFactoryFactory"),
    }
)
_SCHEME = re.compile(r"(?:jdbc:|r2dbc:(?:pool:)?)?(?:postgresql|postgres|postgis|pgsql|psql|ecto)(?:\+\w+)?://")
_DROPPED_BEGINNINGS = ("variables[", "x-")  # of Rails and of golang-migrate
_NAMES = {
    **{"currentSchema": "search_path", "sslNegotiation": "sslnegotiation", "kerberosServerName": "krbsrvname"},
    **{"ssl-ca": "sslrootcert", "ssl-cert": "sslcert", "ssl-key": "sslkey", "ssl-mode": "sslmode"},
    **{"ssl-root-cert": "sslrootcert", "schema_search_path": "search_path"},
    "targetServerType": "target_session_attrs",
}
_VALUES = {
    ("sslmode", "no-verify"): "require",
    ("target_session_attrs", "master"): "primary",
    ("target_session_attrs", "slave"): "standby",
    ("target_session_attrs", "secondary"): "standby",
    ("target_session_attrs", "preferSlave"): "prefer-standby",
    ("target_session_attrs", "preferSecondary"): "prefer-standby",
    ("target_session_attrs", "preferPrimary"): "any",
}
# The sessions of the exporter are read-only on a primary, too.
_DRIVER_VALUES = {
    ("target_session_attrs", "read-write"): "primary",
    ("target_session_attrs", "read-only"): "standby",
}
# `ssl` of node-postgres and JDBC: on means that the certificate is verified as browsers do.
_TLS = {
    **{value: {"sslmode": "verify-full", "sslrootcert": "system"} for value in ("true", "1", "", "verify")},
    **{value: {"sslmode": "require"} for value in ("no-verify", "require", "prefer", "allow")},
    **{value: {"sslmode": "disable"} for value in ("false", "0", "disable")},
}
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# One setting of a connection string: name = value, where a value with spaces stands in quotes.
_SETTING = re.compile(r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)\s*")
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True)
class PostgresAddress:
    """A server, role and database. `parameters` are libpq's; `dropped` names those that only other clients use."""

    hosts: str
    """`host:port`, or several with commas; empty for libpq's default."""
    user: str
    password: str = field(repr=False)
    database: str
    parameters: Mapping[str, str] = field(repr=False)  # sslpassword is one
    dropped: tuple[str, ...] = ()

    @property
    def driver_url(self) -> str:
        """The address for asyncpg."""
        known = {
            name: _DRIVER_VALUES.get((name, value), value) for name, value in self.parameters.items() if name in DRIVER
        }
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user or self.password else ""
        login = login.replace(":@", "@")
        return f"postgresql://{login}{self.hosts}/{quote(self.database, safe='')}?{urlencode(known)}".rstrip("?")

    def hide(self, text: str) -> str:
        """Return a server's answer without the passwords of this address."""
        return hide_passwords(text, self.password, self.parameters.get("sslpassword", ""))

    @property
    def unused_by_driver(self) -> tuple[str, ...]:
        """The parameters that asyncpg does not get."""
        return tuple(sorted({*self.dropped, *(name for name in self.parameters if name not in DRIVER)}))


def read_postgres_address(text: str) -> PostgresAddress:
    """Read an address, or a connection string such as `host=db dbname=shop`.

    Raises:
        AddressError: it is no address of a PostgreSQL server, or has an unknown parameter.
    """
    refuse_quotes(text)
    if text.startswith(("prisma://", "prisma+")):
        raise AddressError(
            "this is the address of Prisma's proxy; write that of the server, which is Prisma's directUrl"
        )
    scheme = _SCHEME.match(text)
    if scheme is not None:
        authority, settings = _split_url(text[scheme.end() :])
    elif "://" not in text and "=" in text:
        authority, settings = {}, dict(_settings(text))
    else:
        raise MalformedAddress(_MALFORMED)
    translated, dropped = _translate(settings)
    parts = authority | {name: value for name, value in translated.items() if name in AUTHORITY and value}
    parameters = {name: value for name, value in translated.items() if name not in AUTHORITY}
    return PostgresAddress(
        _hosts(parts, parameters),
        parts.get("user") or parts.get("username", ""),
        parts.get("password", ""),
        parts.get("dbname") or parts.get("database", ""),
        _with_tls(parameters),
        dropped,
    )


def _split_url(rest: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parts of an address after its scheme, and its parameters.

    A password may hold any character but a slash, as for psql.
    """
    login, at, _ = rest.partition("/")[0].rpartition("@")
    tail = rest[len(login) + len(at) :]
    end = min((tail.find(mark) for mark in "/?" if mark in tail), default=len(tail))
    hosts, (path, _, query) = tail[:end], tail[end:].partition("?")
    # A slash in the password, or half an IPv6 address.
    if "@" in path or ("@" in query and not login) or login.startswith("["):
        raise MalformedAddress(_MALFORMED)
    user, _, password = login.partition(":")
    parts = {"user": unquote(user), "password": unquote(password), "dbname": unquote(path.removeprefix("/"))}
    return {**parts, "hosts": hosts}, dict(parse_qsl(query, keep_blank_values=True))


def _settings(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _SETTING.match(text, position)
        if match is None or match.end() == position:
            raise AddressError(f"not a connection string; write it as {EXAMPLE}, or as host=… dbname=… user=…")
        value = match[2][1:-1] if match[2].startswith("'") else match[2]
        yield match[1], re.sub(r"\\(.)", r"\1", value)
        position = match.end()


def _translate(settings: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return libpq's names and values, and the names that are dropped."""
    translated: dict[str, str] = {}
    tls: Mapping[str, str] = {}
    dropped = []
    for original, value in settings.items():
        name = _NAMES.get(original, original)
        if name in ("ssl", "requiressl") and value.lower() in _TLS:
            tls = _TLS[value.lower()]
        elif name in DRIVER or name in LIBPQ_ONLY or name in AUTHORITY:
            translated[name] = _VALUES.get((name, value), value)
        elif name in DROPPED or name.startswith(_DROPPED_BEGINNINGS):
            dropped.append(name)
        else:
            raise unknown_parameter(original)
    # An explicit mode counts, as for JDBC.
    translated = translated if "sslmode" in translated else {**tls, **translated}
    return translated, tuple(sorted(dropped))


def _hosts(parts: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    if not (host := parts.get("host") or ("" if parts.get("hosts") else parameters.get("hostaddr", ""))):
        hosts = parts.get("hosts", "")
        if not all(map(_is_place, hosts.split(","))):
            raise MalformedAddress(_MALFORMED)
        return hosts
    ports = (parts.get("port") or "").split(",")
    names = host.split(",")
    if ";" in host:  # .NET's connection string
        raise AddressError(f"a semicolon is in the host; write the address as {EXAMPLE}")
    if len(ports) not in (1, len(names)):
        raise AddressError("host and port list different numbers of servers; give one port for each host")
    pairs = zip(names, ports * (len(names) if len(ports) == 1 else 1), strict=True)
    return ",".join(f"{_quoted_host(name)}{f':{port}' if port else ''}" for name, port in pairs)


def _is_place(place: str) -> bool:
    """Return whether `place` is a host with a valid port, or without one."""
    port = place.rpartition("]")[2].partition(":")[2]
    brackets = place.startswith("[") == ("]" in place)
    return brackets and (not port or (port.isascii() and port.isdigit() and 0 < int(port) < 65_536))


def _quoted_host(name: str) -> str:
    """Return a host for an address: a path of a socket is quoted, an IPv6 address stands in brackets."""
    return f"[{name}]" if name.count(":") > 1 and not name.startswith(("/", "[")) else quote(name, safe="[]:.-_")


def _with_tls(parameters: dict[str, str]) -> Mapping[str, str]:
    """Return the parameters with libpq 16's meaning of TLS: `sslrootcert=system` trusts what the system trusts."""
    mode = parameters.get("sslmode")
    if mode is not None and mode not in _SSL_MODES:
        raise AddressError(f"`sslmode` parameter must be one of: {', '.join(_SSL_MODES)}")
    if parameters.get("sslrootcert") != "system":
        return parameters
    if mode not in (None, "verify-full"):
        raise AddressError("sslrootcert=system needs sslmode=verify-full; set it, or name a file of certificates")
    default = ssl.get_default_verify_paths().cafile
    file = next((each for each in (default, *_AUTHORITIES) if each is not None and Path(each).is_file()), None)
    if file is None:
        raise AddressError("sslrootcert=system: this machine has no certificates; install ca-certificates")
    return {**parameters, "sslmode": "verify-full", "sslrootcert": file}
