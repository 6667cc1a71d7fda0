"""Two real Alertmanagers in a cluster deliver the same alert: one episode, one run, one effect."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from sqlalchemy import func, select

from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.ports import free_port
from demo.servers.process import Launch
from remediator.app import create_application
from remediator.context import Context
from remediator.ledger.address import ledger_at
from remediator.ledger.protocol import Ledger
from remediator.ledger.run_list import list_runs
from remediator.ledger.schema import delivery, episode
from remediator.model.clock import SystemClock
from remediator.server.bearer_tokens import BearerTokens
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import inventory
from tests.unit.remediator.folder_remediation import FolderRemediation

TOKEN = "hook-token"
LABELS = {"alertname": "FolderFull", "stack": "shop", "target": "main", "remediation": "clear_folder"}


class ClusteredAlertmanager(AlertmanagerServer):
    """An Alertmanager that does not wait for its peers' messages: all send, as in a network partition."""

    gossip: int
    peer: int

    def prepare(self) -> Launch:
        launch = super().prepare()
        arguments = [each for each in launch.arguments if each != "--cluster.listen-address="]
        arguments += [
            f"--cluster.listen-address=127.0.0.1:{self.gossip}",
            f"--cluster.advertise-address=127.0.0.1:{self.gossip}",
            f"--cluster.peer=127.0.0.1:{self.peer}",
            "--cluster.peer-timeout=1ms",
            "--cluster.settle-timeout=1s",
        ]
        return replace(launch, arguments=arguments)


StartPair = Callable[[int], list[ClusteredAlertmanager]]


@pytest.fixture
def pair(servers_folder: Path, tmp_path: Path) -> Iterator[StartPair]:
    with ExitStack() as stack:

        def start_pair(port: int) -> list[ClusteredAlertmanager]:
            config = tmp_path / "alertmanager.yml"
            config.write_text(configuration(port))
            gossip = [free_port(), free_port()]
            servers = []
            for number in (0, 1):
                server = ClusteredAlertmanager(servers_folder / f"{tmp_path.name}-{number}", config)
                server.gossip, server.peer = gossip[number], gossip[1 - number]
                stack.callback(server.stop)
                server.start()
                servers.append(server)
            return servers

        yield start_pair


def configuration(port: int) -> str:
    hook = {"url": f"http://127.0.0.1:{port}/webhook", "send_resolved": True}
    login = {"http_config": {"basic_auth": {"username": "alertmanager", "password": TOKEN}}}
    route = {"receiver": "remediator", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    receivers = [{"name": "remediator", "webhook_configs": [{**hook, **login}]}]
    return json.dumps({"route": {**route, "repeat_interval": "2s"}, "receivers": receivers})


async def fire(servers: list[ClusteredAlertmanager]) -> None:
    alert = {"labels": LABELS, "startsAt": datetime.now(UTC).isoformat()}
    async with aiohttp.ClientSession() as session:
        for server in servers:
            async with session.post(f"{server.url}/api/v2/alerts", json=[alert]) as answer:
                assert answer.status == 200


async def count_rows(ledger: Ledger, table: Any) -> int:
    async with ledger.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def senders(ledger: Ledger) -> set[str]:
    """Return the external URLs of the Alertmanagers that have delivered."""
    async with ledger.read() as connection:
        return {json.loads(row.body)["externalURL"] for row in await connection.execute(select(delivery.c.body))}


def inventory_with_cooldown() -> Inventory:
    return inventory(cooldown="1h")


async def test_duplicates_of_a_cluster_make_one_episode_and_one_effect(tmp_path: Path, pair: StartPair) -> None:
    """Invariant 2, with real senders, which log in by basic authentication with the token as password."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "files").mkdir()
    files = FolderRemediation(tmp_path / "files")
    files.fill("a")
    ledger = ledger_at(f"sqlite:///{tmp_path}/ledger.db")
    context = Context(inventory_with_cooldown(), ledger, SystemClock(), {"clear_folder": files.remediation()}, None)
    bearers = BearerTokens({"hook": tmp_path / "token"}, "{}", basic=True)
    async with TestServer(create_application(context, bearers)) as served:
        assert served.port is not None
        servers = await asyncio.to_thread(pair, served.port)
        await fire(servers)
        for _ in range(300):
            if len(await senders(ledger)) == len(servers) and files.touched:
                break
            await asyncio.sleep(0.1)
        assert len(await senders(ledger)) == 2
        async with ledger.read() as connection:
            found = (await list_runs(connection, limit=10)).runs
        assert [run.state for run in found] == ["succeeded"]
        assert await count_rows(ledger, episode) == 1
    assert files.touched == ["a"]
