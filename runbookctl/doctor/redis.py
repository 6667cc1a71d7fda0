"""Checks the rights of the exporter's user in Redis, and the server's settings."""

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from runbookctl.doctor.finding import Finding
from runbookd.addresses import AddressError
from runbookd.addresses.redis import read_redis_address
from runbookd.inventory import Stack
from runbookd.redis_errors import redis_error_text

OLDEST = (6, 2)
SECONDS = 10.0
# Commands that the exporter runs. Each only reads, at almost no cost.
REQUIRED_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("INFO", "server"),
    ("SELECT", "0"),
    ("CLIENT", "LIST", "TYPE", "pubsub"),
    ("SLOWLOG", "LEN"),
    ("LATENCY", "LATEST"),
    ("SCAN", "0", "COUNT", "1"),
)
RIGHTS = "-@all +@read -@dangerous +ping +select +info +client|list +client|setname +slowlog|len +latency|latest"
# Commands with subcommands.
_CONTAINERS = frozenset({"CLIENT", "SLOWLOG", "LATENCY"})


async def check(stack: Stack, name: str) -> list[Finding]:
    """Try the commands that the user needs, and those it should not have. Changes nothing."""
    secret = stack.redis[name].url_secret()
    try:
        address = read_redis_address(secret.read())
    except AddressError as error:
        return [Finding(str(error), f"correct {secret.key} in the inventory")]
    user = address.user or "default"
    client = Redis.from_url(
        address.url,
        db=address.database,
        protocol=2,
        socket_timeout=SECONDS,
        socket_connect_timeout=SECONDS,
        driver_info=None,
    )
    try:
        findings = list(_server(await client.info(), any(queues.redis == name for queues in stack.queues.values())))
        findings += [finding async for finding in _missing(client, user)]
        return [*findings, *([_excess_finding(user, stack, name)] if await _has_excess_rights(client) else [])]
    except NoPermissionError:
        return [Finding(f"user {user} may not run INFO", f"ACL SETUSER {user} +info")]
    except (RedisError, OSError) as error:
        return [Finding(address.hide(redis_error_text(error)), "check the server's log")]
    finally:
        await client.aclose()


def _server(info: Mapping[str, Any], has_queues: bool) -> Iterator[Finding]:
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        yield Finding(f"Redis {version} is too old", f"upgrade it to {'.'.join(map(str, OLDEST))} or newer")
    policy = info.get("maxmemory_policy", "noeviction")
    if has_queues and policy != "noeviction":
        yield Finding(
            f"maxmemory-policy is {policy}: when memory runs out, the server drops queued jobs",
            "CONFIG SET maxmemory-policy noeviction (and in redis.conf); move caches to another server",
        )


async def _missing(client: Redis, user: str) -> AsyncIterator[Finding]:
    for command in REQUIRED_COMMANDS:
        if not await _can_run(client, *command):
            words = command[: 2 if command[0] in _CONTAINERS else 1]
            right = "|".join(words).lower()
            yield Finding(f"user {user} may not run {' '.join(words)}", f"ACL SETUSER {user} +{right}")


async def _has_excess_rights(client: Redis) -> bool:
    """Whether the user may delete or configure. Deleting a missing key changes nothing."""
    return await _can_run(client, "UNLINK", f"runbookctl-doctor-{secrets.token_hex(8)}") or await _can_run(
        client, "CONFIG", "GET", "maxmemory"
    )


async def _can_run(client: Redis, *command: str) -> bool:
    try:
        await client.execute_command(*command)  # type: ignore[no-untyped-call]
    except NoPermissionError as error:
        # If only the key is refused, the command would still run on other keys.
        return f"'{command[0].lower()}" not in str(error)
    except RedisError:  # allowed, but fails now: a replica refuses all writes
        return True
    return True


def _excess_finding(user: str, stack: Stack, name: str) -> Finding:
    queues = (f"{prefix}:*" for each in stack.queues.values() if each.redis == name for prefix in each.prefixes)
    keys = " ".join(["resetkeys", *(f"%R~{keys}" for keys in sorted({*queues, *stack.redis[name].prefixes}))])
    return Finding(
        f"user {user} may write or configure; it should only read",
        f"ACL SETUSER metrics reset on >PASSWORD {keys} resetchannels {RIGHTS}; then use this user in url "
        "(deploy/redis/ has the same as files; for Redis 6.2 write ~ instead of %R~)",
    )
