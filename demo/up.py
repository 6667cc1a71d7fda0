"""Starts the demo and waits until every part answers."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from demo.configuration import env_lines, redis_acl, write_configuration
from demo.credentials import Credentials
from demo.down import stop_all
from demo.errors import DemoAlreadyRunning
from demo.launch import Program, launch_command, python_module, recorded_processes
from demo.leftovers import MARKER_VARIABLE
from demo.lock import demo_lock
from demo.paths import CHECKOUT, DemoPaths, write_private
from demo.ports import Ports
from demo.prepare import prepare_bucket, prepare_database
from demo.product.jobs import write_settings
from demo.ready import wait_until_ready
from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.ports import free_ports
from demo.servers.postgres import PostgresServer
from demo.servers.process import Process
from demo.servers.prometheus import PrometheusServer
from demo.servers.redis import RedisServer
from demo.servers.s3 import S3Server
from demo.servers.server import Server, start_together
from tools.toolchain.paths import NODE_MODULES, node_program, venv_program


def up(paths: DemoPaths) -> float:
    """Start everything, and return the seconds that it took.

    Raises:
        DemoAlreadyRunning: a demo of this checkout is running.
        DemoError, ServerError: a part did not start; the others are stopped again.
    """
    started = time.monotonic()
    with demo_lock(paths):
        _refuse_if_up(paths)
        stop_all(paths)
        try:
            _start(paths)
        except BaseException:
            stop_all(paths)
            raise
    return time.monotonic() - started


def _refuse_if_up(paths: DemoPaths) -> None:
    # Without `env`, the processes are leftovers of a failed or killed start, which the new start ends.
    if paths.env.exists() and any(part.running for part in recorded_processes(paths)):
        raise DemoAlreadyRunning(f"the demo is already running ({paths.env}); stop it with `make demo-down`")


def _start(paths: DemoPaths) -> None:
    paths.create()
    for earlier in (paths.report, paths.notifications, *paths.parts.glob("*/*.log")):
        earlier.unlink(missing_ok=True)
    os.environ[MARKER_VARIABLE] = str(paths.root)  # inherited by every process from here on
    ports = Ports(**dict(zip(Ports.model_fields, free_ports(len(Ports.model_fields)), strict=True)))
    ports.save(paths)
    credentials = Credentials()
    credentials.save(paths, ports)
    write_configuration(paths, ports)
    postgres = PostgresServer(paths.part("postgres"), ports.postgres)
    start_together([postgres, *_stores(paths, ports, credentials)])
    asyncio.run(_prepare(paths, ports, postgres, credentials))
    start_together([*_product(paths, ports), *_daemons(paths, ports)])
    asyncio.run(wait_until_ready(paths, ports))
    write_private(paths.env, env_lines(paths, ports))


def _stores(paths: DemoPaths, ports: Ports, credentials: Credentials) -> Sequence[Server]:
    """Return the servers without dependencies; Prometheus retries until the daemons are up."""
    acl = paths.secrets / "redis.acl"
    write_private(acl, redis_acl(credentials))
    upstream, receiver = paths.part("upstream"), paths.part("receiver")
    messages = str(paths.notifications)
    return [
        RedisServer(paths.part("redis"), ports.redis, acl=acl),
        S3Server(paths.part("s3"), ports.s3),
        PrometheusServer(paths.part("prometheus"), paths.config / "prometheus.yml", ports.prometheus),
        AlertmanagerServer(paths.part("alertmanager"), paths.config / "alertmanager.yml", ports.alertmanager),
        _module(upstream, ports.upstream, "demo.product.upstream", str(ports.upstream)),
        _module(receiver, ports.receiver, "demo.product.receiver", str(ports.receiver), messages),
    ]


async def _prepare(paths: DemoPaths, ports: Ports, postgres: PostgresServer, credentials: Credentials) -> None:
    paths.write_secret("postgres_superuser", postgres.dsn(database="shop"))
    await prepare_database(paths, postgres.dsn(), credentials)
    await prepare_bucket(paths, ports.url("s3"))


def _product(paths: DemoPaths, ports: Ports) -> Sequence[Server]:
    traffic = Process(paths.part("traffic"), "traffic")
    traffic.launch(python_module("demo.product.traffic", ports.url("web"), cwd=traffic.folder))
    jobs = paths.part("jobs")
    arguments: list[str | Path] = [
        node_program(),
        CHECKOUT / "demo" / "product" / "jobs.js",
        write_settings(paths, ports),
    ]
    launch = launch_command(arguments, jobs, {"NODE_PATH": str(NODE_MODULES)})
    mailer = paths.part("mailer")
    secret = str(paths.secrets / "postgres_product")
    return [
        _module(paths.part("web"), ports.web, "demo.product.web", str(ports.web), secret),
        Program(jobs, ports.jobs, launch, "/healthy"),
        _module(mailer, ports.mailer, "demo.product.supervisor", str(mailer), str(ports.mailer)),
    ]


def _daemons(paths: DemoPaths, ports: Ports) -> Sequence[Server]:
    """Return the daemons, configured by flags only: a test restarts them from /proc."""
    exporter, remediator = paths.part("exporter"), paths.part("remediator")
    inventory = ["--config.file", str(paths.config / "inventory.yml")]
    tokens = ["--webhook.token-file", str(paths.secrets / "webhook_token")]
    measure = ["--web.listen-address", ports.address("exporter")]
    act = ["--web.listen-address", ports.address("remediator"), *tokens, "--ledger.url", f"sqlite:///{paths.ledger}"]
    return [
        Program(
            exporter,
            ports.exporter,
            launch_command([venv_program("runbook-exporter"), *inventory, *measure], exporter),
            "/-/ready",
        ),
        Program(
            remediator,
            ports.remediator,
            launch_command([venv_program("runbook-remediator"), *inventory, *act], remediator),
            "/-/ready",
        ),
    ]


def _module(folder: Path, port: int, module: str, *arguments: str) -> Program:
    return Program(folder, port, python_module(module, *arguments, cwd=folder), "/healthy")
