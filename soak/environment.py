"""The servers of a soak and the two daemons that work on them, each in its own process."""

import asyncio
import json
import secrets
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from demo.installation import Installation
from demo.launch import Program
from demo.paths import CHECKOUT
from demo.servers.ports import free_port
from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer
from demo.servers.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from demo.servers.server import Server
from soak.inventory import QUEUE, inventory
from soak.proxy import Proxy

EXPORTER, REMEDIATOR = "runbook-exporter", "runbook-remediator"
ROLE, ADMIN, LEDGER_OWNER, LEDGER_WRITER = "metrics", "remediator", "runbookd_owner", "runbookd_writer"
PRODUCT = "product"
USERS = {EXPORTER: "metrics", REMEDIATOR: "remediator"}
"""The user of each daemon in Redis. In PostgreSQL they are `ROLE` and `ADMIN`, and `LEDGER_WRITER` in the ledger."""
LEDGER = "runbookd"
MIGRATE_SECONDS = 60.0
_GRANTS = CHECKOUT / "deploy" / "postgres"


@dataclass(frozen=True)
class SoakEnvironment:
    """Everything that a fault can break.

    The daemons reach PostgreSQL, Redis and the ledger only through the proxies.
    """

    postgres: PostgresServer
    redis: RedisServer
    s3: S3Server
    postgres_proxy: Proxy
    redis_proxy: Proxy
    ledger_proxy: Proxy
    daemons: Mapping[str, Program]
    inventory: Path
    token: str

    @property
    def server_ports(self) -> Mapping[int, str]:
        """The servers that the daemons connect to, by port."""
        proxies = {"postgres": self.postgres_proxy, "redis": self.redis_proxy, "ledger": self.ledger_proxy}
        return {**{proxy.own_port: name for name, proxy in proxies.items()}, self.s3.port: "storage"}

    def url(self, daemon: str) -> str:
        """Return the address of a daemon."""
        return f"http://127.0.0.1:{self.daemons[daemon].port}"

    def pid(self, daemon: str) -> int:
        """Return the process of a daemon. Raises RuntimeError if it has ended."""
        process = self.daemons[daemon].process
        if process.identity is None or not process.running:
            raise RuntimeError(f"{daemon} has ended; see {process.log}")
        return process.identity.pid


@asynccontextmanager
async def running_environment(folder: Path, installation: Installation) -> AsyncIterator[SoakEnvironment]:
    """Start everything below `folder`, with the daemons of an installation, and end it afterwards."""
    async with AsyncExitStack() as exit_stack:
        yield await _Builder(folder, exit_stack, installation).build()


class _Builder:
    """Starts the parts in the order in which they need each other."""

    def __init__(self, folder: Path, exit_stack: AsyncExitStack, installation: Installation) -> None:
        self._folder, self._exit_stack, self._installation = folder, exit_stack, installation
        folder.mkdir(parents=True, exist_ok=True)
        self._users = {user: secrets.token_hex(16) for user in USERS.values()}

    async def build(self) -> SoakEnvironment:
        """Start everything."""
        postgres, s3 = PostgresServer(self._folder / "postgres"), S3Server(self._folder / "s3")
        redis = RedisServer(self._folder / "redis", acl=self._acl())
        await asyncio.gather(*map(self._start, (postgres, redis, s3)))
        await asyncio.to_thread(self._prepare, postgres, redis, s3)
        own, cache, ledger_proxy = Proxy(postgres.port), Proxy(redis.port), Proxy(postgres.port)
        ports = [await self._proxy(proxy) for proxy in (own, cache, ledger_proxy)]
        file, token = (
            self._inventory(postgres, redis, s3, *ports[:2]),
            self._private("token", secrets.token_urlsafe(24)),
        )
        ledger = self._private("ledger.url", _through(postgres.dsn(LEDGER_WRITER, LEDGER), postgres, ports[2]))
        daemons = {
            EXPORTER: self._daemon(EXPORTER, file),
            REMEDIATOR: self._daemon(
                REMEDIATOR, file, "--webhook.token-file", str(token), "--ledger.url-file", str(ledger)
            ),
        }
        await asyncio.gather(*map(self._start, daemons.values()))
        return SoakEnvironment(
            postgres, redis, s3, own, cache, ledger_proxy, daemons, file, token.read_text(encoding="ascii")
        )

    async def _start(self, server: Server) -> None:
        self._exit_stack.push_async_callback(asyncio.to_thread, server.remove)
        await asyncio.to_thread(server.start)

    async def _proxy(self, proxy: Proxy) -> int:
        self._exit_stack.push_async_callback(proxy.close)
        return await proxy.start()

    def _acl(self) -> Path:
        users = [f"user {name} on >{password} ~* &* +@all" for name, password in self._users.items()]
        return self._private("redis.acl", "\n".join(["user default on nopass ~* &* +@all", *users, ""]))

    def _prepare(self, postgres: PostgresServer, redis: RedisServer, s3: S3Server) -> None:
        postgres.add_role(ROLE, "IN ROLE pg_monitor CONNECTION LIMIT 2")
        for role in (ADMIN, PRODUCT, LEDGER_OWNER, LEDGER_WRITER):
            postgres.add_role(role)
        postgres.sql((_GRANTS / "remediator.sql").read_text(encoding="utf-8"))
        postgres.add_database(LEDGER)
        postgres.sql((_GRANTS / "ledger.sql").read_text(encoding="utf-8"), database=LEDGER)
        postgres.sql("CREATE TABLE orders AS SELECT id FROM generate_series(1, 1000) AS id")
        s3.create_bucket("backups")
        fill(redis)
        owner = self._private("owner.url", postgres.dsn(LEDGER_OWNER, LEDGER))
        migrate = self._installation.launch("runbookctl", "ledger", "migrate", str(owner), cwd=self._folder)
        subprocess.run(migrate.arguments, env=migrate.env, check=True, capture_output=True, timeout=MIGRATE_SECONDS)

    def _inventory(self, postgres: PostgresServer, redis: RedisServer, s3: S3Server, *ports: int) -> Path:
        dsn, admin = (_through(postgres.dsn(role), postgres, ports[0]) for role in (ROLE, ADMIN))
        url, admin_url = (_through(redis.url(*user), redis, ports[1]) for user in self._users.items())
        content = inventory(
            postgres={"dsn": dsn, "admin_dsn": admin},
            redis={"url": url, "admin_url": admin_url},
            storage={"url": s3.url, "options": _options(s3)},
            token_file=str(self._folder / "token"),
        )
        return self._private("inventory.yml", json.dumps(content))

    def _daemon(self, name: str, inventory_file: Path, *more: str) -> Program:
        port, folder = free_port(), self._folder / name
        flags = ("--config.file", str(inventory_file), "--web.listen-address", f"127.0.0.1:{port}")
        launch = self._installation.launch(name, *flags, "--log.level", "error", *more, cwd=folder)
        return Program(folder, port, launch, "/-/healthy")

    def _private(self, name: str, text: str) -> Path:
        file = self._folder / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        return file


def _through(address: str, server: Server, port: int) -> str:
    """Return the address of a server through another port."""
    return address.replace(f":{server.port}/", f":{port}/")


def fill(server: RedisServer) -> None:
    """Create the queues, which a restarted Redis has lost."""
    with Redis(port=server.port) as redis:
        for name in (QUEUE, f"{QUEUE}-dlq"):
            redis.hset(f"bull:{name}:meta", mapping={"opts.maxLenEvents": "10000", "version": "bullmq:5.0.0"})
            redis.xadd(f"bull:{name}:events", {"event": "added"})
            redis.zadd(f"bull:{name}:failed", {"1": 1})


def _options(s3: S3Server) -> dict[str, str]:
    return {
        "aws_endpoint": s3.url,
        "aws_allow_http": "true",
        "aws_region": REGION,
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
    }
