"""A Redis with the remediator's user, a queue of real Node BullMQ 3 to 6, and scopes on it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from demo.servers.node import run_node
from demo.servers.redis import RedisServer
from remediator.model.remediation import Scope
from tests.integration.remediator.remediations.queues.queue import ADMIN, REMEDIATOR, Bull

RIGHTS = Path(__file__).parents[5] / "deploy" / "redis"
SCRIPT = Path(__file__).with_name("queue.cjs")


@pytest.fixture(scope="session")
def server(servers_folder: Path) -> Iterator[RedisServer]:
    """Yield a Redis with a user for each of the remediator's ACL files, named after it."""
    acl = servers_folder / "remediator.acl"
    users = [
        (RIGHTS / f"{name}.acl").read_text().replace("user remediator on ", f"user {name} on >{REMEDIATOR} ", 1)
        for name in ("remediator", "remediator-queues")
    ]
    acl.write_text(f"user default on >{ADMIN} ~* &* +@all\n" + "".join(users))
    acl.chmod(0o600)
    redis = RedisServer(servers_folder / "redis-with-users", acl=acl)
    redis.start()
    yield redis
    redis.remove()


@pytest.fixture
async def redis(server: RedisServer) -> Any:
    client = Redis.from_url(server.url("default", ADMIN), decode_responses=True)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def bull(server: RedisServer, redis: Redis) -> Bull:
    """Execute one command with BullMQ of one major version."""

    async def do(major: int, action: str, **given: Any) -> Any:
        arguments = [server.url("default", ADMIN), action, json.dumps(given)]
        return json.loads(await asyncio.to_thread(run_node, SCRIPT, arguments, bullmq=major))

    return do


@pytest.fixture
def scope(server: RedisServer, scope_of: Any) -> Callable[..., Scope]:
    def make(
        queue: str | None = "emails",
        names: Any = "discover",
        url: str | None = None,
        prefix: Any = "bull",
        user: str = "remediator",
        target: Any = None,
        **settings: Any,
    ) -> Scope:
        stack = {
            "redis": {"cache": {"url": "redis://x", "admin_url": url or server.url(user, REMEDIATOR)}},
            "queues": {"jobs": {"redis": "cache", "names": names, "prefix": prefix, **(target or {})}},
        }
        return scope_of("queues", stack=stack, name="jobs", queue=queue, **settings)

    return make
