"""The queues collector reads queues of every real BullMQ version, and agrees with BullMQ's own counts.

The exporter's Redis user may only read, and only keys below `bull:`.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from demo.servers.node import run_node
from demo.servers.redis import RedisServer
from exporter.bullmq.collector import QueuesCollector
from exporter.collector import NOT_YET, Reading
from runbookd.inventory import QueueTarget, RedisTarget, Stack

FOLDER = Path(__file__).parent
USER = (Path(__file__).parents[4] / "deploy" / "redis" / "metrics.acl").read_text(encoding="utf-8").strip()
ACL = f"user default on nopass ~* &* +@all\n{USER} >secret\n"
QUEUES = ("emails", "parents", "children", "held", "delayed", "urgent", "empty", "emails-dlq")


@pytest.fixture(scope="module")
def server(servers_folder: Path) -> Iterator[RedisServer]:
    acl = servers_folder / "queues.acl"
    acl.write_text(ACL)
    server = RedisServer(servers_folder / "queues_redis", acl=acl)
    server.start()
    yield server
    server.remove()


@pytest.fixture
def product(server) -> Iterator[redis.Redis]:
    server.flush()
    with redis.Redis(port=server.port, decode_responses=True) as client:
        yield client


def inventory(server: RedisServer, settings: str = "") -> str:
    url = server.url("metrics", "secret")
    return (
        f"stacks: {{shop: {{redis: {{cache: {{url: '{url}'}}}}, "
        f"queues: {{jobs: {{redis: cache, refresh: 1s, {settings}}}}}}}}}"
    )


async def wait_until_discovered(exporter):
    return await exporter.scrape_until(lambda page: page.value("bullmq_up") == 1)


def counts(page, queue: str) -> dict[str, float]:
    return {dict(labels)["state"]: value for labels, value in page.series("bullmq_queue_jobs", queue=queue).items()}


def oldest(page, queue: str) -> float | None:
    return page.value("bullmq_queue_oldest_waiting_age_seconds", queue=queue)


@pytest.mark.parametrize("version", [3, 4, 5, 6])
async def test_job_counts_equal_those_of_bullmq(start_exporter, server, product, version: int) -> None:
    run_node(FOLDER / "queues.js", [str(server.port)], bullmq=version)
    before = {key: product.dump(key) for key in product.scan_iter()}
    exporter = await start_exporter(inventory(server, "dead_letter: '{name}-dlq'"))
    page = await wait_until_discovered(exporter)
    # BullMQ counts last: its counting script removes markers.
    bullmq_counts = json.loads(run_node(FOLDER / "count.js", [str(server.port), *QUEUES], bullmq=version))
    assert {queue: counts(page, queue) for queue in QUEUES} == {
        queue: dict.fromkeys(counts(page, queue), 0) | numbers for queue, numbers in bullmq_counts.items()
    }
    assert counts(page, "emails") == {
        "waiting": 4 + (2 if version == 3 else 0),
        "paused": 0,
        "prioritized": 0 if version == 3 else 2,
        "active": 1,
        "delayed": 2,
        "failed": 2,
        "completed": 3,
        "waiting-children": 0,
    }
    assert counts(page, "parents")["waiting-children"] == 1
    assert counts(page, "delayed")["waiting"] == 0
    assert counts(page, "held")["paused" if version < 6 else "waiting"] == 3
    assert page.value("bullmq_queue_paused", queue="held", stack="shop", target="jobs") == 1
    assert page.value("bullmq_queue_paused", queue="emails") == 0
    assert 120 <= (oldest(page, "emails") or 0) < 150
    assert 30 <= (oldest(page, "urgent") or 0) < 60
    assert 0 < (oldest(page, "held") or 0) < 30
    assert oldest(page, "delayed") == oldest(page, "empty") == 0
    assert page.value("bullmq_queue_dead_letter_jobs", queue="emails") == 2
    assert page.value("bullmq_queue_dead_letter_jobs", queue="held") == 0
    assert page.series("bullmq_queue_dead_letter_jobs", queue="emails-dlq") == {}
    assert oldest(page, "emails-dlq") is not None, (
        "the rules, not the exporter, know that its jobs wait for an operator"
    )
    assert page.value("runbook_exporter_collector_round_trips", collector="queues") == 2
    assert before.keys() - {key for key in before if key.endswith(":lock")} <= set(product.scan_iter())


async def test_reading_writes_nothing(start_exporter, server, product) -> None:
    run_node(FOLDER / "queues.js", [str(server.port)], bullmq=4)
    dirty = product.info("persistence")["rdb_changes_since_last_save"]
    before = {key: product.dump(key) for key in product.scan_iter() if product.ttl(key) == -1}
    exporter = await start_exporter(inventory(server))
    await wait_until_discovered(exporter)
    await exporter.scrape()
    assert {key: product.dump(key) for key in before} == before
    assert product.info("persistence")["rdb_changes_since_last_save"] == dirty


async def test_all_queues_take_two_round_trips_on_one_connection(start_exporter, server, product, proxy) -> None:
    for number in range(60):
        product.hset(f"bull:queue{number}:meta", "version", "bullmq:5.0.0")
        product.lpush(f"bull:queue{number}:wait", "1")
        product.hset(f"bull:queue{number}:1", "timestamp", int(time.time() * 1000) - 5000)
    counter, port = await proxy(server.port)
    names = ", ".join(f"queue{number}" for number in range(60))
    text = inventory(server, f"names: [{names}]").replace(str(server.port), str(port))
    exporter = await start_exporter(text)
    page = await exporter.scrape("?collector=queues")
    assert len(page.series("bullmq_queue_jobs", state="waiting")) == 60
    assert all(5 <= age < 20 for age in page.series("bullmq_queue_oldest_waiting_age_seconds").values())
    before = counter.round_trips
    for _ in range(5):
        await exporter.scrape("?collector=queues")
    assert counter.round_trips - before == 10
    await asyncio.gather(*(exporter.scrape("?collector=queues") for _ in range(20)))
    assert counter.connections == 1


async def test_new_queues_appear_and_deleted_queues_vanish(start_exporter, server, product) -> None:
    product.hset("bull:first:meta", "version", "bullmq:5.0.0")
    exporter = await start_exporter(inventory(server, "dead_letter: '{name}-dlq'"))
    page = await wait_until_discovered(exporter)
    assert page.value("bullmq_queue_dead_letter_jobs", queue="first") == 0
    product.lpush("bull:first-dlq:wait", "1", "2")  # not discovered yet, but counted at once
    assert (await exporter.scrape()).value("bullmq_queue_dead_letter_jobs", queue="first") == 2
    product.hset("bull:second:meta", "version", "bullmq:5.0.0")
    await exporter.scrape_until(lambda page: page.series("bullmq_queue_jobs", queue="second"))
    product.delete("bull:first:meta")
    page = await exporter.scrape_until(lambda page: not page.series("bullmq_queue_jobs", queue="first"))
    assert page.value("runbook_exporter_collector_last_success_timestamp_seconds", collector="queues") is not None


async def test_discovery_scans_in_few_steps_and_closes_its_connection(start_exporter, server, product, until) -> None:
    with product.pipeline(transaction=False) as pipeline:
        for number in range(5000):
            pipeline.hset(f"bull:emails:{number}", "timestamp", 1)
        for number in range(30):
            pipeline.hset(f"bull:queue{number}:meta", "version", "bullmq:5.0.0")
        pipeline.execute()
    product.config_resetstat()
    exporter = await start_exporter(inventory(server))
    page = await wait_until_discovered(exporter)
    assert len(page.series("bullmq_queue_paused")) == 30
    # A scan takes about six steps of a thousand keys; it may have run twice.
    assert product.info("commandstats")["cmdstat_scan"]["calls"] <= 14

    def only_scrapes_are_connected() -> bool:
        names = [client["name"] for client in product.client_list()]
        return names.count("runbook-exporter") == 2  # the redis target's, the queues'

    await until(only_scrapes_are_connected)


async def test_queues_are_not_up_before_their_discovery(server) -> None:
    stack = Stack(
        redis={"cache": RedisTarget.model_validate({"url": server.url()})}, queues={"jobs": QueueTarget(redis="cache")}
    )
    client = await QueuesCollector(stack, "jobs").scrape.connect(5.0)
    assert await client.read(time.time()) == Reading((), 0, NOT_YET)
    await client.close()


async def test_dead_letters_of_a_deleted_queue_are_still_reported(start_exporter, server, product) -> None:
    product.hset("bull:gone-dlq:meta", "version", "bullmq:5.0.0")
    product.lpush("bull:gone-dlq:wait", "1")
    page = await wait_until_discovered(await start_exporter(inventory(server, "dead_letter: '{name}-dlq'")))
    assert page.value("bullmq_queue_dead_letter_jobs", queue="gone") == 1


async def test_listed_queues_are_reported_before_their_first_job(start_exporter, server, product) -> None:
    exporter = await start_exporter(inventory(server, "names: [emails]"))
    page = await exporter.scrape()
    assert page.value("bullmq_up") == 1
    assert set(counts(page, "emails").values()) == {0}
    assert oldest(page, "emails") == 0
    assert page.series("bullmq_queue_dead_letter_jobs") == {}
    assert page.value("runbook_exporter_collector_round_trips", collector="queues") == 1


async def test_vanished_jobs_and_foreign_keys_do_not_fail_the_reading(start_exporter, server, product) -> None:
    now = int(time.time() * 1000)
    product.lpush("bull:emails:wait", "kept", "vanished")
    product.hset("bull:emails:kept", "timestamp", now - 40_000)
    product.lpush("bull:ghosts:wait", "vanished")
    product.set("bull:foreign:wait", "a text, not a list")
    for queue in ("emails", "ghosts", "foreign"):
        product.hset(f"bull:{queue}:meta", "version", "bullmq:5.0.0")
    page = await wait_until_discovered(await start_exporter(inventory(server)))
    assert counts(page, "emails")["waiting"] == 2
    assert 40 <= (oldest(page, "emails") or 0) < 60
    assert counts(page, "ghosts")["waiting"] == 1
    assert oldest(page, "ghosts") is None
    assert counts(page, "foreign") == {}


async def test_special_characters_in_queue_names_are_escaped(start_exporter, server, product) -> None:
    names = ['quo"ted', "back\\slash", "two\nlines", "ünïcode", "a:b"]
    for name in names:
        product.hset(f"bull:{name}:meta", "version", "bullmq:5.0.0")
    with redis.Redis(port=server.port) as raw:
        raw.hset(b"bull:\xff\xfe:meta", "version", "bullmq:5.0.0")
    page = await wait_until_discovered(await start_exporter(inventory(server)))
    for name in names:
        assert page.value("bullmq_queue_paused", queue=name) == 0


async def test_prefix_is_not_treated_as_a_pattern(start_exporter, server, product) -> None:
    product.hset("bull:a:meta", "version", "bullmq:5.0.0")
    page = await wait_until_discovered(await start_exporter(inventory(server, "prefix: 'b[u]ll*'")))
    assert page.series("bullmq_queue_paused") == {}


async def test_unreadable_keys_are_reported_as_an_error(start_exporter, server, product) -> None:
    exporter = await start_exporter(inventory(server, "prefix: other, names: [emails]"))
    page = await exporter.scrape()
    assert page.value("bullmq_up") == 0
    assert page.value("runbook_exporter_collector_success", collector="queues") == 0
    assert "no permissions to access one of the keys" in (await exporter.get("/"))[1]


SCHEDULERS = """
const { Queue, Worker } = require(process.env.BULLMQ)
const connection = { port: Number(process.argv[2]) }
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
;(async () => {
  const queue = new Queue('emails', { connection })
  const worker = new Worker('emails', async () => {}, { connection })
  await queue.upsertJobScheduler('limited', { every: 100, limit: 3 })
  await queue.upsertJobScheduler('dated', { every: 100, endDate: Date.now() + 500 })
  await queue.upsertJobScheduler('daily', { every: 86400000, startDate: Date.now() + 3600000 })
  await sleep(2500)
  await worker.close()
  await queue.upsertJobScheduler('stuck', { every: 100 })
  await queue.close()
})()
"""


@pytest.mark.parametrize("version", [5, 6])
async def test_ended_scheduler_is_not_missed(
    start_exporter, server, product, node_run, monkeypatch, version: int
) -> None:
    node_run(SCHEDULERS, [str(server.port)], bullmq=version)
    assert product.zcard("bull:emails:repeat") == 4
    past = [name for name, at in product.zscan_iter("bull:emails:repeat") if at < time.time() * 1000]
    assert {"limited", "dated"} <= set(past)
    for name in past:  # as if an hour had passed
        product.zincrby("bull:emails:repeat", -3_600_000, name)
    page = await wait_until_discovered(await start_exporter(inventory(server)))
    assert page.value("bullmq_schedulers", queue="emails") == 4
    assert page.value("bullmq_schedulers_missed", queue="emails") == 1
    stuck = product.zscore("bull:emails:repeat", "stuck") / 1000
    assert page.value("bullmq_scheduler_next_run_timestamp_seconds", queue="emails") == pytest.approx(stuck)
    product.zrem("bull:emails:repeat", "stuck")
    daily = product.zscore("bull:emails:repeat", "daily") / 1000
    await (exporter := await start_exporter(inventory(server))).scrape_until(
        lambda page: page.value("bullmq_scheduler_next_run_timestamp_seconds", queue="emails") == pytest.approx(daily)
    )
    assert (await exporter.scrape()).value("bullmq_schedulers_missed", queue="emails") == 0


REPEATABLE = """
const { Queue, Worker } = require(process.env.BULLMQ)
const connection = { port: Number(process.argv[2]) }
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
;(async () => {
  const queue = new Queue('emails', { connection })
  const worker = new Worker('emails', async () => {}, { connection })
  await queue.add('limited', {}, { repeat: { every: 100, limit: 2 } })
  await sleep(800)
  await worker.close()
  await queue.add('stuck', {}, { repeat: { every: 100, limit: 2 } })
  await queue.close()
})()
"""


@pytest.mark.parametrize("version", [4, 5])
async def test_repeatable_job_past_its_limit_is_not_missed(
    start_exporter, server, product, node_run, version: int
) -> None:
    node_run(REPEATABLE, [str(server.port)], bullmq=version)
    for name, at in product.zscan_iter("bull:emails:repeat"):  # as if an hour had passed
        product.zincrby("bull:emails:repeat", -3_600_000, name)
        [job] = product.scan_iter(f"bull:emails:repeat:*:{at:.0f}")
        product.rename(job, f"{job.rpartition(':')[0]}:{at - 3_600_000:.0f}")
    page = await wait_until_discovered(await start_exporter(inventory(server)))
    assert page.value("bullmq_schedulers", queue="emails") == 2
    assert page.value("bullmq_schedulers_missed", queue="emails") == 1


async def test_many_ended_schedulers_do_not_hide_the_missed_one(start_exporter, server, product) -> None:
    now = int(time.time() * 1000)
    product.hset("bull:emails:meta", "version", "bullmq:5.0.0")
    for number in range(150):
        product.hset(f"bull:emails:repeat:once{number}", mapping={"ic": 1, "endDate": now - 500_000})
    ended = {f"once{number}": now - 600_000 + number for number in range(150)}
    product.zadd("bull:emails:repeat", ended | {"stuck": now - 90_000})
    page = await wait_until_discovered(await start_exporter(inventory(server)))
    assert page.value("bullmq_schedulers_missed", queue="emails") == 1
    next_run = page.value("bullmq_scheduler_next_run_timestamp_seconds", queue="emails")
    assert next_run == pytest.approx(now / 1000 - 90)


async def test_repeatable_job_past_its_end_date_is_not_missed(start_exporter, server, product) -> None:
    now = int(time.time() * 1000)
    product.hset("bull:emails:meta", "version", "bullmq:4.0.0")
    names = {f"report::{now - 5_000}:UTC:0 2 * * *": now - 90_000, "report:::UTC:0 3 * * *": now - 80_000}
    product.zadd("bull:emails:repeat", names)
    page = await wait_until_discovered(await start_exporter(inventory(server)))
    assert page.value("bullmq_schedulers_missed", queue="emails") == 1
