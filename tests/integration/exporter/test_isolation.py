"""A faulty target loses only its own samples, and the page arrives in time, with real faults on real servers."""

import asyncio
import os
import signal
from collections.abc import Iterator

import aiohttp
import pytest

from demo.servers.redis import RedisServer
from exporter.scrape import Scraper, Selection
from runbookd.inventory import Inventory, PostgresTarget, QueueTarget, RedisTarget, Stack
from tests.integration.exporter.conftest import BUSY_SECONDS

ALL = """\
stacks:
  shop:
    postgres:
      main: {{dsn: "{dsn}"}}
      refused: {{dsn: "postgresql://metrics:x@127.0.0.1:1/shop"}}
      silent: {{dsn: "postgresql://metrics:x@127.0.0.1:{silent}/shop"}}
      secretless: {{dsn_file: /nowhere/dsn}}
    redis:
      main: {{url: "{redis}"}}
      stopped: {{url: "{stopped}"}}
    queues:
      jobs: {{redis: main, names: [emails]}}
      stuck: {{redis: stopped, names: [emails]}}
    backups:
      silent: {{url: "s3://bucket/", pattern: "%Y%m%d", refresh: 1s, options: {{
        aws_endpoint: "http://127.0.0.1:{silent}", aws_allow_http: "true", aws_region: x, aws_access_key_id: x,
        aws_secret_access_key: x}}}}
    http:
      silent: {{url: "http://127.0.0.1:{silent}/"}}
"""
GOOD = {("pg_up", "main"), ("redis_up", "main"), ("bullmq_up", "jobs")}


class StoppableRedis:
    """A Redis that SIGSTOP freezes and SIGCONT resumes."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    def send(self, number: signal.Signals) -> None:
        identity = self.server.process.identity
        assert identity is not None
        os.kill(identity.pid, number)


@pytest.fixture
def stoppable(servers_folder) -> Iterator[StoppableRedis]:
    held = StoppableRedis(RedisServer(servers_folder / "stoppable_redis"))
    held.server.start()
    yield held
    held.send(signal.SIGCONT)
    held.server.remove()


@pytest.fixture
async def exporter(start_exporter, metrics_server, database, redis_url, stoppable, silent):
    return await start_exporter(
        ALL.format(dsn=database.dsn("metrics"), silent=silent, redis=redis_url, stopped=stoppable.server.url())
    )


def up(page) -> set[tuple[str, str]]:
    names = ("pg_up", "redis_up", "bullmq_up", "backup_up", "probe_success")
    return {(name, dict(labels)["target"]) for name in names for labels, value in page.series(name).items() if value}


def targets(page, metric: str, value: float) -> set[str]:
    return {f"{dict(at)['collector']}/{dict(at)['target']}" for at, v in page.series(metric).items() if v == value}


async def test_faulty_targets_do_not_affect_the_others(exporter, stoppable) -> None:
    stoppable.send(signal.SIGSTOP)
    for _ in range(2):
        page = await exporter.scrape(allowed=2)
        assert page.seconds < 2 + BUSY_SECONDS
        assert up(page) == GOOD
    assert targets(page, "runbook_exporter_collector_success", 1) == {"postgres/main", "redis/main", "queues/jobs"}
    late = {"postgres/silent", "redis/stopped", "queues/stuck", "http/silent"}
    assert targets(page, "runbook_exporter_collector_timeout", 1) == late
    assert len(page.series("pg_up")) == 4
    assert page.series("pg_settings_max_connections", target="refused") == {}
    landing = (await exporter.get("/"))[1]
    assert "dsn_file: cannot read /nowhere/dsn (No such file or directory); create it" in landing
    assert "no answer before the deadline" in landing


async def test_resumed_target_is_up_again(exporter, stoppable) -> None:
    page = await exporter.scrape("?collector=redis", allowed=2)
    assert page.value("redis_up", target="stopped") == 1
    stoppable.send(signal.SIGSTOP)
    page = await exporter.scrape("?collector=redis", allowed=1)
    assert page.value("redis_up", target="stopped") == 0
    stoppable.send(signal.SIGCONT)
    for _ in range(50):
        page = await exporter.scrape("?collector=redis", allowed=2)
        if page.value("redis_up", target="stopped") == 1:
            break
        await asyncio.sleep(0.1)
    assert page.value("redis_up", target="stopped") == 1


async def test_longer_deadline_extends_a_shared_reading(start_exporter, stoppable) -> None:
    exporter = await start_exporter(f"stacks: {{shop: {{redis: {{main: {{url: '{stoppable.server.url()}'}}}}}}}}")
    await exporter.scrape()
    stoppable.send(signal.SIGSTOP)
    async with asyncio.TaskGroup() as group:
        short = group.create_task(exporter.scrape(allowed=0.4))
        await asyncio.sleep(0.05)
        long = group.create_task(exporter.scrape(allowed=5))
        await asyncio.sleep(1)
        stoppable.send(signal.SIGCONT)
    assert short.result().value("redis_up") == 0
    assert short.result().value("runbook_exporter_collector_timeout") == 1
    assert long.result().value("redis_up") == 1


async def test_client_that_hangs_up_does_not_block_later_scrapes(start_exporter, stoppable, proxy) -> None:
    counter, port = await proxy(stoppable.server.port)
    exporter = await start_exporter(f"stacks: {{shop: {{redis: {{main: {{url: 'redis://127.0.0.1:{port}'}}}}}}}}")
    await exporter.scrape()
    stoppable.send(signal.SIGSTOP)
    for _ in range(10):
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TimeoutError):
                await session.get(f"{exporter.url}/metrics", timeout=aiohttp.ClientTimeout(total=0.05))
    stoppable.send(signal.SIGCONT)
    assert (await exporter.scrape()).value("redis_up") == 1
    assert counter.connections == 1


async def test_refusing_target_is_retried_with_backoff(start_exporter, stoppable, proxy) -> None:
    counter, port = await proxy(stoppable.server.port)
    exporter = await start_exporter(
        f"stacks: {{shop: {{redis: {{main: {{url: 'redis://nobody:wrong@127.0.0.1:{port}'}}}}}}}}"
    )
    end = asyncio.get_running_loop().time() + 3
    scrapes = 0
    while asyncio.get_running_loop().time() < end:
        scrapes += 1
        assert (await exporter.scrape()).value("redis_up") == 0
    # 0.5 to 1 s, then 1 to 1.5 s, then 2 to 2.5 s: at most the first attempt and two retries.
    assert scrapes > 10
    assert counter.connections <= 4  # one more than on an idle machine, for a scrape that comes late


async def test_cancelled_scrape_and_shutdown_leave_no_task_or_session(
    redis_url, metrics_server, database, silent, until
) -> None:
    stack = Stack(
        postgres={"main": PostgresTarget.model_validate({"dsn": database.dsn("metrics")})},
        redis={
            "main": RedisTarget.model_validate({"url": redis_url}),
            "hung": RedisTarget.model_validate({"url": f"redis://127.0.0.1:{silent}"}),
        },
        queues={"jobs": QueueTarget(redis="main"), "hung": QueueTarget(redis="hung")},
    )
    before = asyncio.all_tasks()
    scraper = Scraper(Inventory(stacks={"shop": stack}))
    began = asyncio.get_running_loop().time()
    async with scraper.running():
        scrape = asyncio.create_task(scraper.scrape(began + 30, Selection()))
        await asyncio.sleep(0.3)
        assert len(asyncio.all_tasks()) > len(before) + 1
        scrape.cancel()
    await asyncio.gather(scrape, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began < 15, "it waited for its deadline"
    assert asyncio.all_tasks() == before
    here = "usename = 'metrics' AND datname = current_database()"
    await until(lambda: database.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {here}") == "0")
