"""The rights of the exporter's user in Redis, and what queues need of the server."""

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from runbookctl.doctor.finding import Finding
from runbookd.inventory import Stack
from runbookd.redis_errors import redis_error_text

OLDEST = (6, 2)
SECONDS = 10.0
# What the exporter asks of a server. Each only reads, and costs next to nothing.
REQUIRED_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("INFO", "server"),
    ("SELECT", "0"),
    ("CLIENT", "LIST", "TYPE", "pubsub"),
    ("SLOWLOG", "LEN"),
    ("LATENCY", "LATEST"),
    ("SCAN", "0", "COUNT", "1"),
)
RIGHTS = "-@all +@read -@dangerous +ping +select +info +client|list +client|setname +slowlog|len +latency|latest"
# Those whose second word is a command of its own.
_CONTAINERS = frozenset({"CLIENT", "SLOWLOG", "LATENCY"})


async def check(stack: Stack, name: str) -> list[Finding]:
    """Try what the exporter needs and what it should not have. Nothing is changed."""
    url = stack.redis[name].url_secret().read()
    user = unquote(urlsplit(url).username or "") or "default"
    client = Redis.from_url(url, protocol=2, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, driver_info=None)
    try:
        findings = list(_server(await client.info(), any(queues.redis == name for queues in stack.queues.values())))
        findings += [finding async for finding in _missing(client, user)]
        return [*findings, *([_excess_finding(user, stack, name)] if await _has_excess_rights(client) else [])]
    except (RedisError, OSError) as error:
        return [Finding(redis_error_text(error), "see what the server says in its log")]
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


async def _missing(client: Redis, user: str) -> AsyncIterator[Finding]:
    for command in REQUIRED_COMMANDS:
        if not await _can_run(client, *command):
            words = command[: 2 if command[0] in _CONTAINERS else 1]
            right = "|".join(words).lower()
            yield Finding(f"user {user} may not run {' '.join(words)}", f"ACL SETUSER {user} +{right}")


async def _has_excess_rights(client: Redis) -> bool:
    """Whether it may delete or configure. Deleting a key that is not there changes nothing."""
    return await _can_run(client, "UNLINK", f"runbookctl-doctor-{secrets.token_hex(8)}") or await _can_run(
        client, "CONFIG", "GET", "maxmemory"
    )


async def _can_run(client: Redis, *command: str) -> bool:
    try:
        await client.execute_command(*command)  # type: ignore[no-untyped-call]
    except NoPermissionError as error:
        # A refused key is no refused command: on other keys it would be run.
        return f"'{command[0].lower()}" not in str(error)
    except RedisError:  # allowed, but not now: a replica refuses to write, whoever asks
        return True
    return True


def _excess_finding(user: str, stack: Stack, name: str) -> Finding:
    queues = (f"{prefix}:*" for each in stack.queues.values() if each.redis == name for prefix in each.prefixes)
    keys = " ".join(["resetkeys", *(f"%R~{keys}" for keys in sorted({*queues, *stack.redis[name].prefixes}))])
    return Finding(
        f"user {user} may write or configure; it has to read only",
        f"ACL SETUSER metrics reset on >PASSWORD {keys} resetchannels {RIGHTS}; then name it in url (deploy/redis/ has "
        "the same as files; Redis 6.2 writes ~ for %R~)",
    )
