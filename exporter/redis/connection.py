"""A Redis connection that sends many commands as one request of packed bytes.

redis-py connects and logs in.

redis-py's own pipeline packs each command and awaits each reply: for a thousand commands that takes ten times as long
as the server. Here a packed request is written as it is, and hiredis parses the replies. Replies are bytes, because
most are numbers, or IDs that are only sent back.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from exporter.certificates import expiry_of
from exporter.errors import TargetError, TargetMisconfigured, TargetRefused, TargetUnavailable
from runbookd.addresses import AddressError, log_dropped
from runbookd.addresses.redis import EXAMPLE, RedisAddress, read_redis_address
from runbookd.inventory import Secret, SecretError
from runbookd.redis_errors import redis_error_text

Command = tuple[str | bytes | int, ...]
# Maximum bytes per read. Redis sends replies in pieces of 16 KiB and more.
_READ_BYTES = 1 << 18
_INCOMPLETE = object()
_NAME = "runbook-exporter"
# Valkey writes server_mode, unless it imitates Redis.
_MODE = re.compile(rb"^(?:redis|server)_mode:(\w+)", re.MULTILINE)
_MAJOR_VERSION = re.compile(rb"^redis_version:(\d+)", re.MULTILINE)
# The beginning of what a server without a password answers to one.
_UNWANTED_LOGIN = "without any password configured"
_LOGIN_NOTE = "the server has no password; remove it from the address"
_pack: Callable[[Any], bytes] = hiredis.pack_command  # its stub knows tuples of one word only


def pack_commands(commands: Iterable[Command]) -> bytes:
    """Return commands as one request."""
    return b"".join(map(_pack, commands))


class KeyCommand:
    """A command whose first argument is a key, packed once to be sent for many keys."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._before, self._after = pack_commands([(name, "", *arguments)]).split(b"$0\r\n\r\n")

    def pack(self, keys: Iterable[bytes]) -> bytes:
        """Return one request with the command for each of `keys`."""
        return b"".join([b"%b$%d\r\n%b\r\n%b" % (self._before, len(key), key, self._after) for key in keys])


class RawConnection:
    """One connection to a Redis database, for one task at a time. It never retries."""

    def __init__(self, connection: AbstractConnection, database: int = 0) -> None:
        # Private: redis-py's only public way to its streams, read_response, takes ten times the CPU time.
        reader, writer = connection._reader, connection._writer
        if reader is None or writer is None:
            raise TargetUnavailable("the server closed the connection immediately")
        self._connection, self._reader, self._writer = connection, reader, writer
        self._replies = hiredis.Reader(
            protocolError=InvalidResponse, replyError=_error_reply, notEnoughData=_INCOMPLETE
        )
        self.database = database
        self.mode = ""
        """The server's mode: standalone, cluster or sentinel; empty if it does not say."""
        self.major_version = 0
        """Redis version 6.2 has 6; a compatible server names the version that it is like, or none (0)."""
        self.notes: tuple[str, ...] = ()
        """Why the connection differs from the configured one."""

    @classmethod
    async def connect(cls, secret: Secret, *, selects: bool = True) -> "RawConnection":
        """Connect to the address in `secret`, and select its database if the caller reads keys (`selects`).

        Raises:
            TargetMisconfigured: the secret cannot be read, or is not a Redis address.
            TargetError: connecting failed.
        """
        address = _read_address(secret)
        connection, notes = await _log_in(address)
        try:
            raw = cls(connection, address.database)
            raw.notes = notes
            await raw._introduce(selects=selects)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return raw

    async def _introduce(self, *, selects: bool) -> None:
        """Set the connection's name, read the server's mode and version, and select the database, in one round trip.

        A proxy or a rule may refuse the first two. The name only helps operators, and without the mode, a cluster
        shows in its errors.
        """
        commands: list[Command] = [("CLIENT", "SETNAME", _NAME), ("INFO", "SERVER")]
        if selects and self.database:
            commands.append(("SELECT", self.database))
        _, text, *selected = await self.execute(pack_commands(commands), len(commands))
        if isinstance(text, bytes):
            self._read_server(text)
        if self.mode == "sentinel":
            raise TargetRefused("this is a Redis Sentinel, not a server; set the address of the server itself")
        for error in selected:
            if isinstance(error, RedisError):
                raise TargetRefused(f"SELECT {self.database}: {redis_error_text(error)}")

    def _read_server(self, text: bytes) -> None:
        if match := _MODE.search(text):
            self.mode = match[1].decode()
        if match := _MAJOR_VERSION.search(text):
            self.major_version = int(match[1])

    @property
    def certificate_expiry(self) -> float | None:
        """The earliest end of validity of the server's certificates; None without TLS."""
        return expiry_of(self._writer.transport)

    @property
    def usable(self) -> bool:
        """Whether the connection is open on both sides."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def execute(self, request: bytes, count: int) -> list[Any]:
        """Send `request` and return its `count` replies, errors included, in one round trip.

        Raises:
            TargetUnavailable: the connection broke.
        """
        replies: list[Any] = []
        gets = self._replies.gets
        try:
            self._writer.write(request)
            while len(replies) < count:
                while (reply := gets()) is not _INCOMPLETE:
                    replies.append(reply)
                if len(replies) < count:
                    self._replies.feed(await self._receive())
        except (RedisError, OSError) as error:
            raise_target_error(error)
        return replies

    async def execute_one(self, *command: str | bytes | int) -> Any:
        """Send one command and return its reply.

        Raises:
            TargetError: the connection broke, or the command was refused.
        """
        (reply,) = await self.execute(pack_commands([command]), 1)
        if isinstance(reply, RedisError):
            raise_target_error(reply)
        return reply

    async def close(self) -> None:
        """Close the connection and wait until it is closed."""
        await self._connection.disconnect()

    async def _receive(self) -> bytes:
        data = await self._reader.read(_READ_BYTES)
        if not data:
            raise RedisConnectionError("the server closed the connection")
        return data


def raise_target_error(error: RedisError | OSError, hide: Callable[[str], str] = str) -> NoReturn:
    """Raise `error` as ours, without the command in it, which may be AUTH with a password; `hide` removes that."""
    raise _target_error(error, hide) from None


def _target_error(error: RedisError | OSError, hide: Callable[[str], str]) -> TargetError:
    if isinstance(error, RedisTimeoutError):
        return TargetUnavailable("the connection timed out")
    message = hide(redis_error_text(error))
    if isinstance(error, ResponseError | AuthenticationError | NoPermissionError):
        return TargetRefused(message)
    return TargetUnavailable(message)


def _error_reply(text: str) -> ResponseError:
    """Return an error reply with its code, as in `WRONGTYPE Operation against a key …`."""
    return ResponseError(text)


def _read_address(secret: Secret) -> RedisAddress:
    try:
        address = read_redis_address(secret.read())
    except SecretError as error:
        raise TargetMisconfigured(str(error)) from None
    except AddressError as error:
        raise TargetMisconfigured(f"{secret.key}: {error}") from None
    log_dropped(secret.key, address.dropped)
    return address


async def _log_in(address: RedisAddress) -> tuple[AbstractConnection, tuple[str, ...]]:
    """Connect and log in; without the password if the server has none, as other clients do."""
    pool = _pool(address)
    try:
        return await _open(pool), ()
    except (RedisError, OSError) as error:
        if _UNWANTED_LOGIN not in str(error) or address.user:
            raise_target_error(error, address.hide)
    try:
        return await _open(pool, password=None), (_LOGIN_NOTE,)
    except (RedisError, OSError) as error:
        raise_target_error(error, address.hide)


async def _open(pool: ConnectionPool, **changes: object) -> AbstractConnection:
    connection = pool.connection_class(**{**pool.connection_kwargs, **changes})
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
    except BaseException:
        await connection.disconnect(nowait=True)  # the deadline may have passed
        raise
    return connection


def _pool(address: RedisAddress) -> ConnectionPool:
    """Return redis-py's settings for the address; the pool itself stays empty."""
    try:
        return ConnectionPool.from_url(
            address.url,
            socket_timeout=None,  # the deadline is the caller's
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # neither HELLO nor push messages are needed
            driver_info=None,  # CLIENT SETINFO is not among the rights that the docs require
        )
    except (ValueError, TypeError):  # the message may repeat parts of the address
        raise TargetMisconfigured(f"url: not an address; write it as {EXAMPLE}") from None
