"""A Redis connection that sends many commands as one request of packed bytes.

redis-py connects and logs in.

redis-py's own pipeline packs each command and awaits each reply: for a thousand commands that takes ten times as long
as the server. Here a packed request is written as it is, and hiredis parses the replies. Replies are bytes, because
most are numbers, or IDs that are only sent back.
"""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import hiredis
from redis.asyncio import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from exporter.errors import TargetError, TargetMisconfigured, TargetRefused, TargetUnavailable
from runbookd.inventory import Secret, SecretError
from runbookd.redis_errors import redis_error_text

Command = tuple[str | bytes | int, ...]
# Maximum bytes per read. Redis sends replies in pieces of 16 KiB and more.
_READ_BYTES = 1 << 18
_INCOMPLETE = object()
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

    def __init__(self, connection: Connection) -> None:
        # Private: redis-py's only public way to its streams, read_response, takes ten times the CPU time.
        reader, writer = connection._reader, connection._writer
        if reader is None or writer is None:
            raise TargetUnavailable("the server closed the connection immediately")
        self._connection, self._reader, self._writer = connection, reader, writer
        self._replies = hiredis.Reader(
            protocolError=InvalidResponse, replyError=_error_reply, notEnoughData=_INCOMPLETE
        )
        self.database = int(connection.db)

    @classmethod
    async def connect(cls, secret: Secret) -> "RawConnection":
        """Connect to the address in `secret`.

        Raises:
            TargetMisconfigured: the secret cannot be read, or is not a Redis address.
            TargetError: connecting failed.
        """
        connection = _new_connection(secret)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise_target_error(error)
        except BaseException:
            await connection.disconnect(nowait=True)  # the deadline may have passed
            raise
        return cls(connection)

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


def raise_target_error(error: RedisError | OSError) -> NoReturn:
    """Raise `error` as ours, without the command in it, which may be AUTH with a password."""
    raise _target_error(error) from None


def _target_error(error: RedisError | OSError) -> TargetError:
    if isinstance(error, RedisTimeoutError):
        return TargetUnavailable("the connection timed out")
    message = redis_error_text(error)
    if isinstance(error, ResponseError | AuthenticationError | NoPermissionError):
        return TargetRefused(message)
    return TargetUnavailable(message)


def _error_reply(text: str) -> ResponseError:
    """Return an error reply with its code, as in `WRONGTYPE Operation against a key …`."""
    return ResponseError(text)


def _new_connection(secret: Secret) -> Connection:
    try:
        pool = ConnectionPool.from_url(
            secret.read(),
            socket_timeout=None,  # the deadline is the caller's
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # neither HELLO nor push messages are needed
            client_name="runbook-exporter",
            driver_info=None,  # CLIENT SETINFO is not among the rights that the docs require
        )
        connection: Connection = pool.make_connection()  # type: ignore[no-untyped-call]
    except SecretError as error:
        raise TargetMisconfigured(str(error)) from None
    except (ValueError, TypeError):  # the message may repeat parts of the address
        message = f"{secret.key}: not an address; write it as redis://user:password@host:6379/0"
        raise TargetMisconfigured(message) from None
    return connection
