"""A Redis connection that does only what it is told: one socket, no retries, no set-up commands beyond the login."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from exporter.errors import TargetError, TargetMisconfigured, TargetRefused, TargetUnreachable
from inventory import Secret, SecretError


def redis_client(secret: Secret) -> Redis:
    """Return a client for the address in `secret`. It connects at the first command.

    Raises:
        TargetMisconfigured: the secret can not be read, or is no Redis address.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            secret.read(),
            max_connections=1,
            timeout=None,  # the deadline is the caller's
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # HELLO and push messages have no use here
            client_name="runbook-exporter",
            driver_info=None,  # CLIENT SETINFO is not among the rights that we ask for
            decode_responses=True,
            encoding_errors="replace",
        )
    except SecretError as error:
        raise TargetMisconfigured(str(error)) from None
    except (ValueError, TypeError):  # the message may repeat parts of the address
        raise TargetMisconfigured(f"{secret.key}: is no address like redis://user:password@host:6379/0") from None
    return Redis.from_pool(pool)


def worded(error: RedisError | OSError) -> TargetError:
    """Return `error` as ours. Redis repeats no secrets in its messages."""
    if isinstance(error, RedisTimeoutError):
        return TargetUnreachable("the connection timed out")
    if isinstance(error, ResponseError | AuthenticationError):
        return TargetRefused(str(error))
    return TargetUnreachable(str(error))
