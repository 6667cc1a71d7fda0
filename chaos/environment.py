"""Everything that chaos starts, on free ports of 127.0.0.1 and in one folder; ended by folder and process id."""

import asyncio
import json
import secrets
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from chaos.configuration import SHOP, alertmanager, inventory, product_dsn
from chaos.gate import Gate
from chaos.ledger import LedgerServers, end_at_once
from chaos.recorder import Recorder
from chaos.replica import Replica
from demo.installation import Installation
from demo.launch import Program, launch_command, python_module
from demo.paths import CHECKOUT
from demo.product.jobs import QUEUE
from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.ports import free_port
from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer
from demo.servers.server import Server
from soak.proxy import Proxy
from tools.toolchain.paths import NODE_MODULES, node_program

REPLICAS, ALERTMANAGERS = 3, 2
# %c names a session, as in the ledger; %n is its time as a number.
_PRODUCT_SETTINGS = {"log_line_prefix": "%n [%p] %c ", "max_connections": "60"}


@dataclass(frozen=True)
class Environment:
    """Everything that a fault can break."""

    folder: Path
    postgres: PostgresServer
    redis: RedisServer
    jobs: Program
    upstream: Program
    gate: Gate
    ledger: LedgerServers
    postgres_proxy: Proxy
    redis_proxy: Proxy
    gate_proxy: Proxy
    recorder: Recorder
    recorder_url: str
    replicas: Sequence[Replica]
    alertmanagers: Sequence[AlertmanagerServer]
    http: aiohttp.ClientSession
    token: str

    @property
    def product_dsn(self) -> str:
        """The DSN of the product, without a proxy."""
        return self.postgres.dsn("product", SHOP)


@asynccontextmanager
async def running_environment(
    folder: Path, faketime: Path | None, replicas: int = REPLICAS, installation: Installation | None = None
) -> AsyncIterator[Environment]:
    """Start everything below `folder`, with the replicas of an installation (the checkout's), and end it afterwards."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        builder = _Builder(folder, stack, http, secrets.token_urlsafe(24), installation or Installation())
        yield await builder.build(faketime, replicas)


class _Builder:
    """Starts the parts in the order in which they need each other."""

    def __init__(
        self, folder: Path, stack: AsyncExitStack, http: aiohttp.ClientSession, token: str, installation: Installation
    ) -> None:
        self._folder, self._stack, self._http, self._token = folder, stack, http, token
        self._installation = installation
        folder.mkdir(parents=True, exist_ok=True)
        self._token_file = folder / "token"
        self._token_file.touch(mode=0o600)
        self._token_file.write_text(token, encoding="ascii")

    async def build(self, faketime: Path | None, count: int) -> Environment:
        """Start everything."""
        ledger = LedgerServers(self._folder, count)
        self._stack.push_async_callback(ledger.close)
        postgres = PostgresServer(self._folder / "postgres", settings=_PRODUCT_SETTINGS)
        redis, gate = RedisServer(self._folder / "redis"), Gate()
        ledger_ports, _, _ = await asyncio.gather(ledger.start(), self._start(postgres), self._start(redis))
        await asyncio.to_thread(_prepare_product, postgres)
        gate_port = await self._serve(gate.application())
        product = [Proxy(postgres.port), Proxy(redis.port), Proxy(gate_port)]
        arguments = self._arguments(postgres, *[await self._proxy(proxy) for proxy in product])
        replicas = [
            self._replica(number, ledger, port, arguments, faketime) for number, port in enumerate(ledger_ports)
        ]
        recorder = Recorder({each.number: await self._proxy(each.webhook) for each in replicas}, self._http)
        recorder_port = await self._serve(recorder.application())
        recorder_url = f"http://127.0.0.1:{recorder_port}"
        alertmanagers = [self._alertmanager(number, recorder_url, count) for number in range(ALERTMANAGERS)]
        upstream, jobs = self._product(redis)
        await asyncio.gather(
            ledger.add_standby(), self._start(upstream), self._start(jobs), *map(self._start, alertmanagers)
        )
        for replica in replicas:
            self._stack.push_async_callback(asyncio.to_thread, replica.end, signal.SIGKILL)
            await asyncio.to_thread(replica.launch)
        postgres_proxy, redis_proxy, gate_proxy = product
        return Environment(
            folder=self._folder,
            postgres=postgres,
            redis=redis,
            jobs=jobs,
            upstream=upstream,
            gate=gate,
            ledger=ledger,
            postgres_proxy=postgres_proxy,
            redis_proxy=redis_proxy,
            gate_proxy=gate_proxy,
            recorder=recorder,
            recorder_url=recorder_url,
            replicas=replicas,
            alertmanagers=alertmanagers,
            http=self._http,
            token=self._token,
        )

    async def _start(self, server: Server) -> None:
        self._stack.push_async_callback(asyncio.to_thread, end_at_once, server)
        await asyncio.to_thread(server.start)

    async def _serve(self, app: web.Application) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return port

    async def _proxy(self, proxy: Proxy) -> int:
        self._stack.push_async_callback(proxy.close)
        return await proxy.start()

    def _arguments(self, postgres: PostgresServer, postgres_port: int, redis_port: int, gate_port: int) -> list[str]:
        """Write the inventory that every replica has, and return the flags for it."""
        dsn_file = self._private("postgres.dsn", product_dsn(postgres, "remediator", postgres_port))
        redis_url, gate_url = f"redis://127.0.0.1:{redis_port}/0", f"http://127.0.0.1:{gate_port}/gate"
        file = self._private("inventory.yml", json.dumps(inventory(dsn_file, redis_url, gate_url, self._token_file)))
        return ["--config.file", str(file), "--webhook.token-file", str(self._token_file)]

    def _replica(
        self, number: int, ledger: LedgerServers, port: int, arguments: list[str], faketime: Path | None
    ) -> Replica:
        url_file = self._private(f"ledger-{number}.url", ledger.writer_dsn(port))
        flags = [*arguments, "--ledger.url-file", str(url_file)]
        folder = self._folder / f"replica-{number}"
        return Replica(number, folder, ledger.proxies[number], flags, faketime, self._installation)

    def _alertmanager(self, number: int, recorder_url: str, replicas: int) -> AlertmanagerServer:
        hooks = [f"{recorder_url}/alertmanager-{number}/{replica}/webhook" for replica in range(replicas)]
        file = self._private(f"alertmanager-{number}.yml", alertmanager(hooks, self._token_file))
        return AlertmanagerServer(self._folder / f"alertmanager-{number}", file)

    def _product(self, redis: RedisServer) -> tuple[Program, Program]:
        upstream_port, jobs_port = free_port(), free_port()
        folder = self._folder / "upstream"
        launch = python_module("demo.product.upstream", str(upstream_port), cwd=folder)
        upstream = Program(folder, upstream_port, launch, "/healthy")
        settings = {
            "redis_url": redis.url(),
            "upstream_url": f"http://127.0.0.1:{upstream_port}",
            "port": jobs_port,
            "queue": QUEUE,
        }
        script = CHECKOUT / "demo" / "product" / "jobs.js"
        arguments: list[str | Path] = [node_program(), script, self._private("jobs.json", json.dumps(settings))]
        folder = self._folder / "jobs"
        launch = launch_command(arguments, folder, {"NODE_PATH": str(NODE_MODULES)})
        return upstream, Program(folder, jobs_port, launch, "/healthy")

    def _private(self, name: str, text: str) -> Path:
        file = self._folder / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        return file


def _prepare_product(postgres: PostgresServer) -> None:
    postgres.add_role("product")
    postgres.add_role("remediator")
    postgres.sql((CHECKOUT / "deploy" / "postgres" / "remediator.sql").read_text(encoding="utf-8"))
    postgres.add_database(SHOP, "product")
    schema = CHECKOUT / "demo" / "product" / "schema.sql"
    postgres.sql(schema.read_text(encoding="utf-8"), role="product", database=SHOP)
