"""The Redis collector, against a real server, with a user that has only the documented rights."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from demo.servers.redis import RedisServer

USER = (Path(__file__).parents[4] / "deploy" / "redis" / "metrics.acl").read_text(encoding="utf-8").strip()
ACL = f"user default on nopass ~* &* +@all\n{USER} >secret\n"


@pytest.fixture(scope="module")
def limited_server(servers_folder: Path) -> Iterator[RedisServer]:
    acl = servers_folder / "metrics.acl"
    acl.write_text(ACL)
    server = RedisServer(servers_folder / "limited_redis", acl=acl)
    server.start()
    yield server
    server.remove()


@pytest.fixture
def product(limited_server) -> Iterator[redis.Redis]:
    """Empty the server and give the product's own client."""
    limited_server.flush()
    with redis.Redis(port=limited_server.port) as client:
        client.config_resetstat()
        yield client


def inventory(url: str) -> str:
    return f"stacks: {{shop: {{redis: {{cache: {{url: '{url}'}}}}}}}}"


async def test_metrics_match_the_server(start_exporter, limited_server, product, until) -> None:
    exporter = await start_exporter(inventory(limited_server.url("metrics", "secret")))
    product.config_set("maxmemory", "100mb")
    product.config_set("maxmemory-policy", "allkeys-lru")
    product.mset({"a": 1, "b": 2, "c": 3})
    product.get("a")
    product.get("b")
    product.get("nothing")
    product.set("short", 1, px=1)
    await until(lambda: product.dbsize() == 3)
    product.get("short")
    page = await exporter.scrape()
    labels = {"stack": "shop", "target": "cache"}
    expected = {
        "redis_up": 1,
        "redis_memory_max_bytes": 100 * 1024 * 1024,
        "redis_keyspace_hits_total": 2,
        "redis_keyspace_misses_total": 2,
        "redis_evicted_keys_total": 0,
        "redis_expired_keys_total": 1,
        "redis_rejected_connections_total": 0,
        "redis_connected_clients": 2,
        "redis_blocked_clients": 0,
        "redis_aof_enabled": 0,
        "redis_rdb_last_bgsave_status": 1,
        "redis_maxmemory_policy_noeviction": 0,
        "runbook_exporter_collector_round_trips": 1,
    }
    assert {name: page.value(name, **labels) for name in expected} == expected
    assert page.value("redis_db_keys", db="db0", **labels) == 3
    assert page.value("redis_instance_info", role="master", maxmemory_policy="allkeys-lru", **labels) == 1
    assert 500_000 < page.value("redis_memory_used_bytes", **labels) < 100_000_000
    assert 0 <= page.value("redis_uptime_in_seconds", **labels) < 600
    assert time.time() - 600 < page.value("redis_rdb_last_save_timestamp_seconds", **labels) <= time.time()
    product.config_set("maxmemory-policy", "noeviction")
    product.config_set("maxmemory", "0")
    assert (await exporter.scrape()).value("redis_maxmemory_policy_noeviction", **labels) == 1


async def test_empty_database_reports_zero_keys(start_exporter, limited_server, product) -> None:
    product.select(2)
    product.set("a", 1)
    exporter = await start_exporter(inventory(limited_server.url("metrics", "secret", 1)))
    page = await exporter.scrape()
    assert page.value("redis_db_keys", db="db1") == 0
    assert page.value("redis_db_keys", db="db2") == 1


async def test_scrape_takes_one_round_trip_on_one_connection(start_exporter, limited_server, proxy) -> None:
    counter, port = await proxy(limited_server.port)
    url = limited_server.url("metrics", "secret").replace(str(limited_server.port), str(port))
    exporter = await start_exporter(inventory(url))
    await exporter.scrape()
    before = counter.round_trips
    for _ in range(5):
        await exporter.scrape()
    assert counter.round_trips - before == 5
    await asyncio.gather(*(exporter.scrape() for _ in range(20)))
    assert counter.connections == 1


async def test_restarted_server_is_read_again(start_exporter, servers_folder) -> None:
    server = RedisServer(servers_folder / "restarted_redis")
    server.start()
    try:
        exporter = await start_exporter(inventory(server.url()))
        assert (await exporter.scrape()).value("redis_up") == 1
        server.stop()
        assert (await exporter.scrape()).value("redis_up") == 0
        server.start()
        await exporter.scrape_until(lambda page: page.value("redis_up") == 1)
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://metrics:hunter2@127.0.0.1:{port}/0", "invalid username-password pair"),
        ("redis://metrics:hunter2@127.0.0.1:1/0", "127.0.0.1:1: the connection is refused; check the address"),
        ("redis://metrics:hunter2@127.0.0.1:hunter2/0", "url: not an address; write it as redis://"),
        ("hunter2", "url: not an address; write it as redis://"),
    ],
)
async def test_wrong_address_is_reported_without_the_password(
    start_exporter, limited_server, url, expected, capsys
) -> None:
    exporter = await start_exporter(inventory(url.format(port=limited_server.port)))
    page = await exporter.scrape()
    landing = (await exporter.get("/"))[1]
    out, err = capsys.readouterr()
    assert page.value("redis_up") == 0
    assert expected in landing
    assert "hunter2" not in page.text + landing + out + err
