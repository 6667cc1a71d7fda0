"""A Redis with the user of remediator-cache.acl, and scopes on it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from demo.servers.redis import RedisServer
from remediator.model.parameters import parse_parameters
from remediator.model.remediation import Scope
from remediator.remediations import REMEDIATIONS

ADMIN, REMEDIATOR = "admin-secret", "remediator-secret"
ACL = Path(__file__).parents[5] / "deploy" / "redis" / "remediator-cache.acl"
ENTRIES = {
    "caches": {"oauth": {"prefix": "oauth:"}},
    "rate_limits": {"user": {"key": "rl:user:{subject}"}},
    "blocks": {"address": {"key": "blocked:ip:{address}", "proxies": ["198.51.0.0/16"], "never": ["8.8.8.8"]}},
}
CacheScope = Callable[..., Scope]


@pytest.fixture(scope="session")
def cache_server(servers_folder: Path) -> Iterator[RedisServer]:
    acl = servers_folder / "remediator-cache.acl"
    acl.write_text(
        f"user default on >{ADMIN} ~* &* +@all\n" + ACL.read_text().replace(" on ", f" on >{REMEDIATOR} ", 1)
    )
    acl.chmod(0o600)
    server = RedisServer(servers_folder / "redis-cache", acl=acl)
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def redis(cache_server: RedisServer) -> Any:
    client = Redis.from_url(cache_server.url("default", ADMIN))
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def cache_scope(cache_server: RedisServer, scope_of: Any) -> CacheScope:
    def make(remediation: str, entries: Any = None, settings: Any = None, **parameters: str) -> Scope:
        url = cache_server.url("remediator", REMEDIATOR)
        stack = {"redis": {"main": {"url": "redis://x", "admin_url": url, **ENTRIES, **(entries or {})}}}
        scope: Scope = scope_of("redis", stack=stack, **(settings or {}))
        declared = REMEDIATIONS[remediation].declared_for(scope.stack, scope.target).parameters
        return replace(scope, parameters=parse_parameters(remediation, declared, parameters))

    return make
