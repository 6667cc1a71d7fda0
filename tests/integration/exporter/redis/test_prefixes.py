"""Keys by prefix: counted in a small database, estimated from a sample in a large one."""

import asyncio
from collections.abc import Iterator

import pytest
import redis
import yaml

from exporter.redis import prefixes, scan
from exporter.redis.connection import RawConnection
from exporter.redis.metrics import SAMPLED
from runbookd.inventory import PrefixSettings, Secret, SecretStr


@pytest.fixture
def product(redis_server, redis_url) -> Iterator[redis.Redis]:
    with redis.Redis(port=redis_server.port) as client:
        yield client


def inventory(url: str, **prefixes) -> str:
    named = {f"{name}:*": settings for name, settings in prefixes.items()}
    return yaml.safe_dump({"stacks": {"shop": {"redis": {"cache": {"url": url, "prefixes": named, "refresh": "1s"}}}}})


async def wait_until_sampled(exporter):
    return await exporter.scrape_until(lambda page: page.series("redis_keys_count"))


def by_key(page, name: str) -> dict[str, float]:
    return {dict(labels)["key"]: value for labels, value in page.series(name).items()}


async def test_small_database_has_exact_counts_and_highest_counters(start_exporter, redis_url, product) -> None:
    product.mset({f"rl:{number}": number for number in range(1, 21)})
    product.mset({"rl:word": "many", "rl:nan": "nan", "rlx": 9999, "oauth:a": "x", "oauth:b": "y"})
    product.lpush("rl:list", 1)
    page = await wait_until_sampled(
        await start_exporter(inventory(redis_url, rl={"top": 3}, oauth={}, blocked={"top": 1}))
    )
    assert by_key(page, "redis_keys_count") == {"rl:*": 23, "oauth:*": 2, "blocked:*": 0}
    assert by_key(page, "redis_key_value") == {"rl:20": 20, "rl:19": 19, "rl:18": 18}
    assert by_key(page, "redis_keys_readable") == {"rl:*": 1, "blocked:*": 1}
    assert page.value("redis_keys_sampled_ratio", db="db0") == 1
    assert page.value("redis_up") == 1
    assert page.value("runbook_exporter_collector_round_trips", collector="redis") == 1


async def test_large_database_is_sampled(start_exporter, redis_url, product, monkeypatch) -> None:
    monkeypatch.setattr(prefixes, "MOST_STEPS", 4)
    with product.pipeline(transaction=False) as pipeline:
        for number in range(20_000):
            pipeline.set(f"{('rl', 'other')[number % 2]}:{number}", number)
        pipeline.execute()
    product.config_resetstat()
    page = await wait_until_sampled(await start_exporter(inventory(redis_url, rl={"top": 2})))
    assert 0.09 < page.value("redis_keys_sampled_ratio") < 0.2
    assert by_key(page, "redis_keys_count")["rl:*"] == pytest.approx(10_000, rel=0.15)
    assert len(by_key(page, "redis_key_value")) == 2
    assert product.info("commandstats")["cmdstat_scan"]["calls"] % 4 == 0


async def test_only_counters_are_absent_without_read_permission(
    start_exporter, redis_server, redis_url, product
) -> None:
    product.mset({"rl:1": 1, "rl:2": 2})
    product.execute_command(
        "ACL", "SETUSER", "narrow", "on", ">secret", "~bull:*", "+@read", "+info", "+client|setname"
    )
    try:
        page = await wait_until_sampled(
            await start_exporter(inventory(redis_server.url("narrow", "secret"), rl={"top": 2}, o={}))
        )
        assert by_key(page, "redis_keys_count") == {"rl:*": 2, "o:*": 0}
        assert by_key(page, "redis_keys_readable") == {"rl:*": 0}
        assert by_key(page, "redis_key_value") == {}
        assert page.value("redis_up") == 1
    finally:
        product.execute_command("ACL", "DELUSER", "narrow")


async def test_binary_and_quoted_key_names_are_exported(start_exporter, redis_url, product) -> None:
    product.set(b"rl:\xff\xfe", 5)
    product.set('rl:"quoted"\n', 6)
    page = await wait_until_sampled(await start_exporter(inventory(redis_url, rl={"top": 5})))
    assert set(by_key(page, "redis_key_value").values()) == {5, 6}


async def test_refused_scan_does_not_mark_the_server_down(
    start_exporter, redis_server, redis_url, product, capsys
) -> None:
    product.execute_command("ACL", "SETUSER", "narrow", "on", ">secret", "+info", "+client|setname")
    try:
        exporter = await start_exporter(inventory(redis_server.url("narrow", "secret"), rl={}))
        debug = ""
        while "error: " not in debug or "not read in the background yet" in debug:
            debug = (await exporter.get("/metrics?debug=true"))[1]
        page = await exporter.scrape()
    finally:
        product.execute_command("ACL", "DELUSER", "narrow")
    assert page.value("redis_up") == 1
    assert page.value("runbook_exporter_collector_success", collector="redis") == 0
    assert "shop/redis/cache: up\n" in debug
    assert "no permissions to run the 'scan' command" in debug
    out, err = capsys.readouterr()
    assert (out + err).count("run the 'scan' command") == 1


async def test_server_is_up_during_its_first_scan(start_exporter, redis_url, product, monkeypatch) -> None:
    monkeypatch.setattr(scan, "PAUSE_SECONDS", 0.5)
    product.mset({f"rl:{number}": number for number in range(5_000)})
    page = await (await start_exporter(inventory(redis_url, rl={}))).scrape()
    assert page.series("redis_keys_count") == {}, "the scan is still running"
    assert page.value("redis_up") == 1


async def test_scan_without_keys_reports_no_counts() -> None:
    replies = iter((b"+OK\r\n$0\r\n\r\n", b"*2\r\n$1\r\n7\r\n*0\r\n", b":1000\r\n"))  # to CLIENT and INFO, SCAN, DBSIZE

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            await reader.read(1000)
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = await RawConnection.connect(Secret("url", SecretStr(f"redis://127.0.0.1:{port}"), None))
    samples, _ = await prefixes.sample_keys(connection, {"rl:*": PrefixSettings()}, until=0.0)
    await connection.close()
    server.close()
    assert samples == [SAMPLED(0.0, "db0")]
