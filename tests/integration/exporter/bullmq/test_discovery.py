"""Queues are found by keys and by workers, below several prefixes, in several databases, in short steps."""

import asyncio
import base64
import time
from collections.abc import Iterator

import pytest
import redis
import yaml

from exporter.bullmq.collector import QueuesCollector
from exporter.redis import scan
from runbookd.inventory import QueueTarget, RedisTarget, Stack

META = ("version", "bullmq:5.0.0")


@pytest.fixture
def product(redis_server, redis_url) -> Iterator[redis.Redis]:
    with redis.Redis(port=redis_server.port) as client:
        yield client


def inventory(url: str, **targets) -> str:
    stack = {
        "redis": {"cache": {"url": url}},
        "queues": {name: {"redis": "cache"} | each for name, each in targets.items()},
    }
    return yaml.safe_dump({"stacks": {"shop": stack}})


async def discovered_queues(exporter) -> set[tuple[str, str]]:
    """Return (target, queue) for each queue on the page."""
    page = await exporter.scrape_until(lambda page: page.series("bullmq_up") and all(page.series("bullmq_up").values()))
    return {(dict(labels)["target"], dict(labels)["queue"]) for labels in page.series("bullmq_queue_paused")}


async def test_queues_are_found_below_several_prefixes(start_exporter, redis_url, product) -> None:
    for base in ("bull:mail", "bull:a:b", "{tag}:mail", "bull:{mail}", "bull:eu:mail", "other:mail"):
        product.hset(f"{base}:meta", *META)
    exporter = await start_exporter(
        inventory(redis_url, one={}, tagged={"prefix": "{tag}"}, several={"prefix": ["{tag}", "bull:eu", "bull"]})
    )
    assert await discovered_queues(exporter) == {
        *(("one", name) for name in ("mail", "a:b", "{mail}", "eu:mail")),
        ("tagged", "mail"),
        *(("several", name) for name in ("bull:mail", "bull:a:b", "{tag}:mail", "bull:{mail}", "bull:eu:mail")),
    }


async def test_dead_letters_stay_within_their_prefix(start_exporter, redis_url, product) -> None:
    for prefix in ("bull", "other"):
        product.hset(f"{prefix}:mail:meta", *META)
    product.lpush("other:mail-dlq:wait", 1, 2)
    exporter = await start_exporter(inventory(redis_url, q={"prefix": ["bull", "other"], "dead_letter": "{name}-dlq"}))
    page = await exporter.scrape_until(lambda page: page.series("bullmq_queue_dead_letter_jobs"))
    counts = {dict(labels)["queue"]: value for labels, value in page.series("bullmq_queue_dead_letter_jobs").items()}
    assert counts == {"bull:mail": 0, "other:mail": 2}


async def test_mapped_queues_and_failed_jobs_count_as_dead_letters(start_exporter, redis_url, product) -> None:
    for queue in ("mail", "images", "grave"):
        product.hset(f"bull:{queue}:meta", *META)
    product.lpush("bull:grave:wait", 1, 2, 3)
    product.zadd("bull:mail:failed", {"9": 1})
    exporter = await start_exporter(
        inventory(redis_url, listed={"dead_letter": {"mail": "grave"}}, failed={"dead_letter": "failed"}, none={})
    )
    page = await exporter.scrape_until(lambda page: len(page.series("bullmq_queue_paused")) == 9)
    counts = {
        (dict(labels)["target"], dict(labels)["queue"]): value
        for labels, value in page.series("bullmq_queue_dead_letter_jobs").items()
    }
    assert counts == {
        **{("listed", "mail"): 3, ("listed", "images"): 0},
        **{("failed", "mail"): 1, ("failed", "images"): 0, ("failed", "grave"): 0},
    }


async def test_each_database_has_its_own_queues(start_exporter, redis_url, product) -> None:
    product.hset("bull:here:meta", *META)
    product.select(5)
    product.hset("bull:there:meta", *META)
    stack = {
        "redis": {"zero": {"url": redis_url}, "five": {"url": redis_url.removesuffix("0") + "5"}},
        "queues": {"a": {"redis": "zero"}, "b": {"redis": "five"}},
    }
    exporter = await start_exporter(yaml.safe_dump({"stacks": {"shop": stack}}))
    assert await discovered_queues(exporter) == {("a", "here"), ("b", "there")}


async def test_worker_reveals_a_queue_without_keys(start_exporter, redis_server, redis_url, product) -> None:
    name = "bull:" + base64.b64encode(b"new").decode()
    with redis.Redis(port=redis_server.port, client_name=name) as worker:
        worker.ping()
        exporter = await start_exporter(inventory(redis_url, q={}, listed={"names": ["new", "old"]}))
        assert await discovered_queues(exporter) == {("q", "new"), ("listed", "new"), ("listed", "old")}
        page = await exporter.scrape()
        for target, queue, count in (("q", "new", 1), ("listed", "new", 1), ("listed", "old", 0)):
            assert page.value("bullmq_queue_workers", target=target, queue=queue) == count


def collector(url: str) -> QueuesCollector:
    target = QueueTarget(redis="main", names="discover")
    return QueuesCollector(Stack(redis={"main": RedisTarget.model_validate({"url": url})}, queues={"q": target}), "q")


async def test_interrupted_scan_continues_at_the_next_reading(redis_url, product, monkeypatch) -> None:
    with product.pipeline(transaction=False) as pipeline:
        for number in range(3000):
            pipeline.hset(f"bull:q{number % 30}:{number}", "timestamp", 1)
        for number in range(30):
            pipeline.hset(f"bull:q{number}:meta", *META)
        pipeline.execute()
    queues, known = collector(redis_url), []
    for _ in range(8):
        client = await queues.background.connect(0.0)  # time for one step
        await client.read(time.time())
        await client.close()
        known.append(len(queues.state.names))
    assert known == sorted(known)
    assert known[0] < 30 == known[-1]
    product.delete("bull:q0:meta")
    for _ in range(2 * 3030 // scan.STEP_KEYS + 2):
        client = await queues.background.connect(0.0)
        await client.read(time.time())
        await client.close()
    assert len(queues.state.names) == 29


async def test_only_the_first_queues_are_read_beyond_the_limit(
    start_exporter, redis_url, product, monkeypatch, capsys
) -> None:
    monkeypatch.setattr("exporter.bullmq.client.MAX_SERIES", 3)
    for number in range(8):
        product.hset(f"bull:q{number}:meta", *META)
        product.zadd(f"bull:q{number}:failed", {"1": number})
    exporter = await start_exporter(inventory(redis_url, q={"refresh": "1s"}))
    assert await discovered_queues(exporter) == {("q", name) for name in ("q0", "q1", "q2")}
    product.config_resetstat()
    page = await exporter.scrape()
    assert product.info("commandstats")["cmdstat_hmget"]["calls"] == 3
    assert page.value("bullmq_up") == 1
    assert page.value("bullmq_discovered_queues") == 8
    assert page.value("runbook_exporter_dropped_series", collector="queues") >= 5 * 8
    assert "5 of bullmq_queue_paused" in (await exporter.get("/metrics?debug=true"))[1]
    product.delete("bull:q3:meta")
    await exporter.scrape_until(lambda page: page.value("bullmq_discovered_queues") == 7)
    out, err = capsys.readouterr()
    assert (out + err).count("not all of the target is measured") == 1


async def test_scan_pauses_between_steps(redis_url, product) -> None:
    with product.pipeline(transaction=False) as pipeline:
        for number in range(20_000):
            pipeline.set(f"key{number}", 1)
        pipeline.execute()
    queues = collector(redis_url)
    product.config_resetstat()
    began = time.monotonic()
    client = await queues.background.connect(60.0)
    reading = await client.read(time.time())
    took = time.monotonic() - began
    await client.close()
    steps = product.info("commandstats")["cmdstat_scan"]
    assert steps["calls"] == reading.round_trips - 1 >= 20_000 // scan.STEP_KEYS - 1
    assert took >= (steps["calls"] - 1) * scan.PAUSE_SECONDS


async def test_scrape_does_not_wait_for_the_scan(start_exporter, redis_url, product, monkeypatch) -> None:
    monkeypatch.setattr(scan, "PAUSE_SECONDS", 30)
    with product.pipeline(transaction=False) as pipeline:
        for number in range(5_000):
            pipeline.set(f"key{number}", 1)
        pipeline.execute()
    exporter = await start_exporter(inventory(redis_url, q={}, listed={"names": ["mail"]}))
    await asyncio.sleep(0.1)
    page = await exporter.scrape()
    assert page.value("bullmq_up", target="q") == 0, "the scan is still running"
    assert page.value("bullmq_queue_paused", target="listed", queue="mail") == 0
