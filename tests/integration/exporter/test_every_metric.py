"""A real server exports every declared metric of Redis and of queues."""

import asyncio
from collections.abc import Iterator

import pytest
import yaml
from redis import Redis

from demo.servers.redis import RedisServer
from exporter.bullmq.collector import QueuesCollector
from exporter.redis.collector import RedisCollector
from exporter.redis.metrics import CERT_EXPIRY
from tests.integration.exporter.bullmq.product import Product


@pytest.fixture
def primary(servers_folder) -> Iterator[RedisServer]:
    """Start a Redis that reports everything: a replica, files, a latency event, counters."""
    primary, replica = RedisServer(servers_folder / "primary"), RedisServer(servers_folder / "replica")
    try:
        for server in (primary, replica):
            server.start()
        _equip(primary, replica)
        primary.replica = replica
        yield primary
    finally:
        for server in (replica, primary):
            server.remove()


def _equip(primary: RedisServer, replica: RedisServer) -> None:
    with Redis(port=primary.port) as client, Redis(port=replica.port) as follower:
        client.config_set("appendonly", "yes")
        client.config_set("latency-monitor-threshold", 1)
        client.eval("for turn = 1, 10000000 do end", 0)
        client.set("rl:oncall", 7, ex=60)
        follower.replicaof("127.0.0.1", primary.port)


async def test_real_server_exports_every_declared_metric(start_exporter, primary) -> None:
    product = await asyncio.to_thread(Product, primary.port, 5)
    try:
        for step in (
            {"does": "open", "name": "mail", "prefix": "bull"},
            {"does": "concurrency", "count": 3},
            {"does": "schedule", "every": 3_600_000},
            *[{"does": "add"}] * 4,
            *[{"does": "take"}] * 3,
            {"does": "complete", "place": 0},
            {"does": "fail", "place": 0},
            {"does": "check"},
            {"does": "add", "delay": 600_000},
        ):
            await asyncio.to_thread(product.do, step)
        urls = {
            "main": {"url": primary.url(), "prefixes": {"rl:*": {"top": 1}}},
            "other": {"url": primary.replica.url()},
        }
        queues = {"jobs": {"redis": "main", "names": ["mail"], "dead_letter": "{name}-dlq"}}
        queues["found"] = {"redis": "main", "dead_letter": {"mail": "mail"}, "refresh": "1s"}
        exporter = await start_exporter(yaml.safe_dump({"stacks": {"shop": {"redis": urls, "queues": queues}}}))
        declared = {metric.name for kind in (RedisCollector, QueuesCollector) for metric in kind.metrics}
        declared -= {CERT_EXPIRY.name}  # of a connection with TLS; test_access.py has one
        missing = declared
        for _ in range(30):
            missing = declared - set((await exporter.scrape()).values)
            if not missing:
                break
            await asyncio.sleep(0.3)
        assert missing == set()
    finally:
        await asyncio.to_thread(product.close)
