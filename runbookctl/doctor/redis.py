"""The rights of the exporter's user in Redis, and what queues need of the server."""

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from inventory import Stack
from runbookctl.doctor.finding import Finding

OLDEST = (6, 2)
SECONDS = 10.0
# What the exporter asks of a server. Each only reads, and costs next to nothing.
NEEDED: tuple[tuple[str, ...], ...] = (
    ("INFO", "server"),
    ("SELECT", "0"),
    ("CLIENT", "LIST", "TYPE", "pubsub"),
    ("SLOWLOG", "LEN"),
    ("LATENCY", "LATEST"),
    ("SCAN", "0", "COUNT", "1"),
)

_CONTAINERS = frozenset({"CLIENT", "SLOWLOG", "LATENCY"})


async def check(stack: Stack, name: str) -> list[Finding]:
    """Try what the exporter needs and what it should not have. Nothing is changed."""
    url = stack.redis[name].url_secret().read()
    client = Redis.from_url(url, protocol=2, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, driver_info=None)
    try:
        info: Mapping[str, Any] = await client.info()
        return [
            *_server(info, [queue for queue in stack.queues.values() if queue.redis == name] != []),
            *[finding async for finding in _missing(client)],
            *([_too_wide()] if await _may_write(client) or await _may(client, "CONFIG", "GET", "maxmemory") else []),
        ]
    except (RedisError, OSError) as error:
        return [Finding(str(error), "see what the server says in its log")]
    finally:
        await client.aclose()


def _server(info: Mapping[str, Any], has_queues: bool) -> Iterator[Finding]:
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        yield Finding(f"Redis {version} is too old", f"upgrade it to {'.'.join(map(str, OLDEST))} or newer")
    policy = info.get("maxmemory_policy", "noeviction")
    if has_queues and policy != "noeviction":
        yield Finding(
            f"maxmemory-policy is {policy}: under pressure the server drops jobs of the queues it holds",
            "CONFIG SET maxmemory-policy noeviction (and in redis.conf); put caches into another server",
        )


async def _missing(client: Redis) -> AsyncIterator[Finding]:
    for command in NEEDED:
        if not await _may(client, *command):
            right = "|".join(part.lower() for part in command[: 2 if command[0] in _CONTAINERS else 1])
            yield Finding(f"the user may not run {right.replace('|', ' ').upper()}", f"ACL SETUSER metrics +{right}")


async def _may_write(client: Redis) -> bool:
    """Deleting a key that is not there changes nothing, and is refused to whoever may not write."""
    return await _may(client, "UNLINK", f"runbookctl-doctor-{secrets.token_hex(8)}")


async def _may(client: Redis, *command: str) -> bool:
    try:
        await client.execute_command(*command)  # type: ignore[no-untyped-call]
    except NoPermissionError:
        return False
    except RedisError:  # allowed, but not now: a replica refuses to write, whoever asks
        return True
    return True


def _too_wide() -> Finding:
    return Finding(
        "the user may write or configure; it has to read only",
        "ACL SETUSER metrics on >PASSWORD resetkeys %R~* resetchannels -@all +@read -@dangerous +ping +select +info "
        "+client|list +client|setname +slowlog|len +latency|latest (Redis 6.2: ~* for %R~*); then name it in url",
    )
