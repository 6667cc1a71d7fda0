"""Reads a Redis address, also as ioredis, node-redis, go-redis, Lettuce and Celery write it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlencode, urlunsplit

from runbookd.addresses import AddressError, SplitAddress, hide_passwords, split_address, unknown_parameter

EXAMPLE = "redis://user:password@host:6379/0"
# Parameters about TLS that redis-py understands.
PASSED = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
        "ssl_min_version",
        "ssl_password",
    }
)
# Parameters that stand for another part of the address.
TRANSLATED = frozenset(
    {"database", "db", "password", "skip_verify", "ssl", "tls", "username", "verifyPeer", "virtual_host"}
)
# Settings of other clients that do not change which server or database answers.
DROPPED = frozenset(
    {
        # ioredis and BullMQ
        *("allowUsernameInURI", "autoPipeliningIgnoredCommands", "autoResendUnfulfilledCommands", "autoResubscribe"),
        *("commandQueue", "commandTimeout", "connectTimeout", "connectionName", "enableAutoPipelining"),
        *("enableOfflineQueue", "enableReadyCheck", "family", "keepAlive", "keyPrefix", "lazyConnect"),
        *("maxLoadingRetryTime", "maxRetriesPerRequest", "monitor", "noDelay", "offlineQueue", "readOnly"),
        *("reconnectOnError", "retryStrategy", "showFriendlyErrorStack", "socketTimeout", "stringNumbers"),
        # redis-py, Celery and Django
        *("client_name", "decode_responses", "encoding", "encoding_errors", "health_check_interval"),
        *("max_connections", "protocol", "retry_on_timeout", "single_connection_client", "socket_connect_timeout"),
        *("socket_keepalive", "socket_read_size", "socket_timeout", "timeout", "visibility_timeout"),
        # go-redis, Lettuce, Rails and serverless poolers
        *("clientName", "client_cache", "conn_max_idle_time", "conn_max_lifetime", "connection_limit"),
        *("dial_timeout", "idle_timeout", "libraryName", "libraryVersion", "max_active_conns", "max_conn_age"),
        *("max_idle_conns", "max_retries", "max_retry_backoff", "min_idle_conns", "min_retry_backoff"),
        *("pool_fifo", "pool_max_conns", "pool_size", "pool_timeout", "read_timeout", "reconnect_attempts"),
        *("write_timeout",),
    }
)
_CHECKS = {"cert_none": "none", "cert_optional": "optional", "cert_required": "required"}
_TRUE = frozenset({"1", "true", "yes"})
# Shown in an error; anything else may be the end of a password.
_HARMLESS = re.compile(r"[A-Za-z0-9_-]{1,30}")
_SCHEMES = ("redis", "rediss", "unix")
_OTHER_SCHEMES = {
    **{"valkey": "redis", "valkeys": "rediss", "redis+tls": "rediss"},
    **dict.fromkeys(("redis-socket", "redis+socket"), "unix"),
}


@dataclass(frozen=True)
class RedisAddress:
    """An address for redis-py, without a database; `dropped` names the parameters that are ignored."""

    url: str = field(repr=False)
    user: str
    database: int
    dropped: tuple[str, ...] = ()
    password: str = field(default="", repr=False)

    def hide(self, text: str) -> str:
        """Return a server's answer without the password of this address."""
        return hide_passwords(text, self.password)


def read_redis_address(text: str) -> RedisAddress:
    """Read an address.

    Raises:
        AddressError: it is no address of a Redis server, or has an unknown parameter.
    """
    if text.startswith(("redis-sentinel:", "redis+sentinel:", "rediss+sentinel:")):
        raise AddressError(f"addresses of a Sentinel are not supported; name the server itself, as {EXAMPLE}")
    split = split_address(text, {*_SCHEMES, *_OTHER_SCHEMES}, EXAMPLE)
    parameters = dict(split.parameters)
    passed = dict(_passed(split))
    user = parameters.get("username") or unquote(split.parts.username or "")
    dropped = tuple(sorted(name for name in parameters if name in DROPPED))
    password = parameters.get("password") or unquote(split.parts.password or "")
    return RedisAddress(_driver_url(split, parameters, passed), user, _database(split, parameters), dropped, password)


def _passed(split: SplitAddress) -> Iterator[tuple[str, str]]:
    for name, value in split.parameters:
        if name == "ssl_cert_reqs":
            yield name, _check_of(value)
        elif (name == "skip_verify" and value.lower() in _TRUE) or (name, value.lower()) == ("verifyPeer", "none"):
            yield "ssl_cert_reqs", "none"
        elif name in PASSED:
            yield name, value
        elif name not in TRANSLATED and name not in DROPPED:
            raise unknown_parameter(name)


def _check_of(value: str) -> str:
    check = _CHECKS.get(value.lower(), value.lower())
    if check not in _CHECKS.values():
        raise AddressError(f"`ssl_cert_reqs` must be one of: {', '.join(sorted(_CHECKS.values()))}")
    return check


def _driver_url(split: SplitAddress, parameters: dict[str, str], passed: dict[str, str]) -> str:
    """Return the address for redis-py; its database is selected separately."""
    parts = split.parts
    scheme = _OTHER_SCHEMES.get(parts.scheme, parts.scheme)
    if scheme == "redis" and {parameters.get("tls", "").lower(), parameters.get("ssl", "").lower()} & _TRUE:
        scheme = "rediss"
    if scheme != "unix" and not parts.hostname:
        raise AddressError(f"the host is missing; write it as {EXAMPLE}")
    credentials = {name: parameters[name] for name in ("username", "password") if parameters.get(name)}
    query = urlencode(passed | credentials)
    return urlunsplit((scheme, parts.netloc, parts.path if scheme == "unix" else "", query, ""))


def _database(split: SplitAddress, parameters: dict[str, str]) -> int:
    is_socket = _OTHER_SCHEMES.get(split.parts.scheme, split.parts.scheme) == "unix"
    path = "" if is_socket else unquote(split.parts.path).strip("/")
    named = (parameters.get(name) for name in ("db", "database", "virtual_host"))
    number = next(filter(None, named), path or "0")
    if not (number.isascii() and number.isdigit()):
        shown = repr(number) if _HARMLESS.fullmatch(number) else "in the path"
        raise AddressError(f"the database {shown} is not a number; end the address with /0, or leave it out")
    return int(number)
