"""The servers of a soak and the exporter that measures them, each in its own process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from demo.launch import Program, python_module
from demo.servers.ports import free_port
from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer
from demo.servers.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from demo.servers.server import Server
from soak.proxy import Proxy

ROLE = "metrics"
_QUEUES = ("mail", "mail-dlq")


@dataclass(frozen=True)
class SoakEnvironment:
    """Everything that a fault can break.

    The exporter reaches PostgreSQL and Redis only through the proxies.
    """

    postgres: PostgresServer
    redis: RedisServer
    s3: S3Server
    postgres_proxy: Proxy
    redis_proxy: Proxy
    exporter: Program
    inventory: Path

    @property
    def url(self) -> str:
        """The exporter's address."""
        return f"http://127.0.0.1:{self.exporter.port}"

    @property
    def pid(self) -> int:
        """The exporter's process. Raises RuntimeError if it has ended."""
        identity = self.exporter.process.identity
        if identity is None or not self.exporter.process.running:
            raise RuntimeError(f"the exporter has ended; see {self.exporter.process.log}")
        return identity.pid


@asynccontextmanager
async def running_environment(folder: Path) -> AsyncIterator[SoakEnvironment]:
    """Start everything below `folder`, and end it afterwards."""
    async with AsyncExitStack() as exit_stack:
        postgres, redis = PostgresServer(folder / "postgres"), RedisServer(folder / "redis")
        s3 = S3Server(folder / "s3")
        for server in (postgres, redis, s3):
            await _start(exit_stack, server)
        proxies = [await _proxy(exit_stack, server.port) for server in (postgres, redis)]
        inventory = folder / "inventory.yml"
        await asyncio.to_thread(_prepare_servers, postgres, redis, s3)
        ports = [port for _, port in proxies]
        inventory.write_text(json.dumps(_inventory(postgres, redis, s3, *ports)), encoding="utf-8")
        exporter = _exporter(folder, inventory)
        await _start(exit_stack, exporter)
        yield SoakEnvironment(postgres, redis, s3, proxies[0][0], proxies[1][0], exporter, inventory)


async def _start(exit_stack: AsyncExitStack, server: Server) -> None:
    await asyncio.to_thread(server.start)
    exit_stack.push_async_callback(asyncio.to_thread, server.remove)


async def _proxy(exit_stack: AsyncExitStack, port: int) -> tuple[Proxy, int]:
    proxy = Proxy(port)
    own_port = await proxy.start()
    exit_stack.push_async_callback(proxy.close)
    return proxy, own_port


def _prepare_servers(postgres: PostgresServer, redis: RedisServer, s3: S3Server) -> None:
    postgres.add_role(ROLE, "IN ROLE pg_monitor CONNECTION LIMIT 2")
    postgres.sql("CREATE TABLE orders AS SELECT id FROM generate_series(1, 1000) AS id")
    s3.create_bucket("backups")
    fill(redis)


def fill(server: RedisServer) -> None:
    """Create the queues, which a restarted Redis has lost."""
    with Redis(port=server.port) as redis:
        for name in _QUEUES:
            redis.hset(f"bull:{name}:meta", "opts.maxLenEvents", "10000")
            redis.zadd(f"bull:{name}:failed", {"1": 1})


def _inventory(postgres: PostgresServer, redis: RedisServer, s3: S3Server, *ports: int) -> object:
    proxied_urls = [postgres.dsn(ROLE).replace(f":{postgres.port}/", f":{ports[0]}/")]
    proxied_urls.append(redis.url().replace(f":{redis.port}/", f":{ports[1]}/"))
    backups = {"url": "s3://backups/", "pattern": "db_%Y%m%d.dump", "refresh": "1s", "options": _options(s3)}
    stack = {
        "postgres": {"main": {"dsn": proxied_urls[0], "refresh": "2s"}},
        "redis": {"main": {"url": proxied_urls[1]}},
        "queues": {"jobs": {"redis": "main", "dead_letter": "{name}-dlq", "refresh": "1s"}},
        "backups": {"nightly": backups},
        "http": {"storage": {"url": f"{s3.url}/"}},
    }
    return {"stacks": {"shop": stack}}


def _options(s3: S3Server) -> dict[str, str]:
    return {
        "aws_endpoint": s3.url,
        "aws_allow_http": "true",
        "aws_region": REGION,
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
    }


def _exporter(folder: Path, inventory: Path) -> Program:
    port = free_port()
    flags = ("--config.file", str(inventory), "--web.listen-address", f"127.0.0.1:{port}", "--log.level", "error")
    launch = python_module("exporter.main", *flags, cwd=folder / "exporter")
    return Program(folder / "exporter", port, launch, "/-/healthy")
