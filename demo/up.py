"""Starts the demo and returns when every part of it really answers."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from demo.configuration import env_lines, redis_acl, write_configuration
from demo.credentials import Credentials
from demo.down import end_all
from demo.errors import AlreadyUp
from demo.launch import Program, command, python_module, recorded
from demo.leftovers import MARK
from demo.lock import only_one
from demo.places import CHECKOUT, Places, write_private
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


def up(places: Places) -> float:
    """Start everything, and return how many seconds that took.

    Raises:
        AlreadyUp: a demo is up here.
        DemoError, ServerError: a part did not start; then nothing of it is left.
    """
    started = time.monotonic()
    with only_one(places):
        _refuse_if_up(places)
        end_all(places)
        try:
            _start(places)
        except BaseException:
            end_all(places)
            raise
    return time.monotonic() - started


def _refuse_if_up(places: Places) -> None:
    # What a half-failed or a killed start left behind is no demo: it is ended, and the start goes on.
    if places.env.exists() and any(part.running for part in recorded(places)):
        raise AlreadyUp(f"a demo is up here, see {places.env}; `make demo-down` ends it")


def _start(places: Places) -> None:
    places.make()
    for earlier in (places.report, places.notifications, *places.parts.glob("*/*.log")):
        earlier.unlink(missing_ok=True)
    os.environ[MARK] = str(places.root)  # inherited by every process from here on
    ports = Ports(**dict(zip(Ports.model_fields, free_ports(len(Ports.model_fields)), strict=True)))
    ports.save(places)
    credentials = Credentials()
    credentials.save(places, ports)
    write_configuration(places, ports)
    postgres = PostgresServer(places.part("postgres"), ports.postgres)
    start_together([postgres, *_stores(places, ports, credentials)])
    asyncio.run(_prepare(places, ports, postgres, credentials))
    start_together([*_product(places, ports), *_daemons(places, ports)])
    asyncio.run(wait_until_ready(places, ports))
    write_private(places.env, env_lines(places, ports))


def _stores(places: Places, ports: Ports, credentials: Credentials) -> Sequence[Server]:
    """What needs nothing else. Prometheus and Alertmanager are among it: they wait for the daemons by themselves."""
    acl = places.secrets / "redis.acl"
    write_private(acl, redis_acl(credentials))
    upstream, receiver = places.part("upstream"), places.part("receiver")
    messages = str(places.notifications)
    return [
        RedisServer(places.part("redis"), ports.redis, acl=acl),
        S3Server(places.part("s3"), ports.s3),
        PrometheusServer(places.part("prometheus"), places.config / "prometheus.yml", ports.prometheus),
        AlertmanagerServer(places.part("alertmanager"), places.config / "alertmanager.yml", ports.alertmanager),
        _module(upstream, ports.upstream, "demo.product.upstream", str(ports.upstream)),
        _module(receiver, ports.receiver, "demo.product.receiver", str(ports.receiver), messages),
    ]


async def _prepare(places: Places, ports: Ports, postgres: PostgresServer, credentials: Credentials) -> None:
    places.write_secret("postgres_superuser", postgres.dsn(database="shop"))
    await prepare_database(places, postgres.dsn(), credentials)
    await prepare_bucket(places, ports.url("s3"))


def _product(places: Places, ports: Ports) -> Sequence[Server]:
    traffic = Process(places.part("traffic"), "traffic")
    secret = str(places.secrets / "postgres_product")
    traffic.launch(python_module("demo.product.traffic", secret, cwd=traffic.folder))
    jobs = places.part("jobs")
    arguments: list[str | Path] = [
        node_program(),
        CHECKOUT / "demo" / "product" / "jobs.js",
        write_settings(places, ports),
    ]
    launch = command(arguments, jobs, {"NODE_PATH": str(NODE_MODULES)})
    return [Program(jobs, ports.jobs, launch, "/healthy")]


def _daemons(places: Places, ports: Ports) -> Sequence[Server]:
    """With flags only: whoever kills one can start it again with the argument list that /proc shows."""
    exporter, remediator = places.part("exporter"), places.part("remediator")
    inventory = ["--config.file", str(places.config / "inventory.yml")]
    tokens = ["--webhook.token-file", str(places.secrets / "webhook_token")]
    measure = ["--web.listen-address", ports.address("exporter")]
    act = ["--web.listen-address", ports.address("remediator"), *tokens, "--ledger.url", f"sqlite:///{places.ledger}"]
    return [
        Program(
            exporter,
            ports.exporter,
            command([venv_program("runbook-exporter"), *inventory, *measure], exporter),
            "/-/ready",
        ),
        Program(
            remediator,
            ports.remediator,
            command([venv_program("runbook-remediator"), *inventory, *act], remediator),
            "/-/ready",
        ),
    ]


def _module(folder: Path, port: int, module: str, *arguments: str) -> Program:
    return Program(folder, port, python_module(module, *arguments, cwd=folder), "/healthy")
