"""A connection to the Redis of a target, with deadlines of a few seconds."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope
from runbookd.addresses import AddressError, MalformedAddress, log_dropped
from runbookd.addresses.redis import read_redis_address
from runbookd.inventory import Secret, SecretError, Stack
from runbookd.network_errors import REMEDY
from runbookd.redis_errors import redis_error_text

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 8.0


@asynccontextmanager
async def connect(scope: Scope, *, decode: bool = True) -> AsyncIterator[Redis]:
    """Open a client for the `admin_url` of the target's Redis.

    It connects at its first command. Without `decode`, answers are bytes: keys and job data may be any.

    Raises:
        TargetUnreachable: `admin_url` is missing or invalid.
    """
    client = _client(scope, decode)
    try:
        yield client
    finally:
        await client.aclose()


async def ping(stack: Stack, name: str) -> str | None:
    """Return why the Redis target `name` does not answer to `admin_url`, or to `url` if there is none, or None."""
    target = stack.redis[name]
    secret = target.admin_url_secret() if target.admin_url_secret().configured else target.url_secret()
    try:
        address = read_redis_address(secret.read())
        client = Redis.from_url(
            address.url, db=address.database, driver_info=None, socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=CONNECT_SECONDS, retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
    except (SecretError, AddressError) as error:
        return str(error)
    except ValueError:
        return f"{secret.key} is not an address"  # the driver's message could quote the password
    try:
        await client.ping()
    except (RedisError, OSError, TimeoutError) as error:
        return address.hide((redis_error_text(error).splitlines() or [""])[0]) or "no answer in time"
    finally:
        await client.aclose()
    return None


@contextmanager
def translate_errors(scope: Scope) -> Iterator[None]:
    """Raise every error of the server, the network or the driver as TargetUnreachable."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        first_line = (redis_error_text(error).splitlines() or [""])[0] or "no answer in time"
        remedy = f"; {REMEDY}" if isinstance(error.__context__, OSError) else ""
        raise TargetUnreachable(f"{scope.target}: {_hide(scope, first_line)}{remedy}") from None


def _hide(scope: Scope, answer: str) -> str:
    """Return a server's answer without the password, which a broken one may repeat."""
    try:
        return read_redis_address(_secret(scope).read()).hide(answer)
    except (SecretError, AddressError):  # it has changed since
        return "the server refuses the command"


def _redis_of(scope: Scope) -> str:
    """Return the name of the target's Redis: itself, or the one that holds its queues."""
    return scope.target.name if scope.target.kind == "redis" else scope.stack.queues[scope.target.name].redis


def _secret(scope: Scope) -> Secret:
    return scope.stack.redis[_redis_of(scope)].admin_url_secret()


def _client(scope: Scope, decode: bool) -> Redis:
    redis = _redis_of(scope)
    try:
        address = read_redis_address(_secret(scope).read())
        log_dropped("admin_url", address.dropped)
        return Redis.from_url(
            address.url,
            db=address.database,
            decode_responses=decode,
            single_connection_client=True,
            client_name=f"runbook-remediator:{scope.run}",
            driver_info=None,  # Redis before 7.2 lacks the command that would send it
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            # Redis may have executed a command that got no answer: its outcome is looked up, it is never resent.
            retry=Retry(NoBackoff(), 0),
        )
    except SecretError as error:
        raise TargetUnreachable(f"{scope.target}: redis.{redis}: {error}") from None
    except MalformedAddress:
        raise _not_an_address(scope, redis) from None
    except AddressError as error:
        raise TargetUnreachable(f"{scope.target}: redis.{redis}: admin_url: {error}") from None
    except ValueError:
        # The driver's message could quote parts of the address, and with them the password.
        raise _not_an_address(scope, redis) from None


def _not_an_address(scope: Scope, redis: str) -> TargetUnreachable:
    return TargetUnreachable(
        f"{scope.target}: redis.{redis}: admin_url is not an address of the form redis://user:password@host:port/0"
    )
