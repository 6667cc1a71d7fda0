"""Connections: at most the role's two, never blocked by an abandoned scrape, and back after every kind of loss."""

import asyncio
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from demo.servers.redis import RedisServer
from exporter.scheduling import connection
from exporter.scrape import Scraper, Selection
from runbookd.inventory import Inventory, PostgresTarget, Stack

POSTGRES = "stacks: {{shop: {{postgres: {{main: {{dsn: '{dsn}'}}}}}}}}"
SILENCE_SECONDS = 6.0


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
async def exporter(start_exporter, limited_postgres, until):
    await until(lambda: not limited_postgres.backends())  # those of the previous test
    return await start_exporter(POSTGRES.format(dsn=limited_postgres.dsn))


async def test_200_concurrent_scrapes_share_one_connection(start_exporter, limited_postgres, proxy, until) -> None:
    await until(lambda: not limited_postgres.backends())
    counter, port = await proxy(limited_postgres.server.port)
    exporter = await start_exporter(
        POSTGRES.format(dsn=limited_postgres.dsn.replace(f":{limited_postgres.server.port}/", f":{port}/"))
    )
    for _ in range(2):
        pages = await asyncio.gather(*(exporter.get("/metrics") for _ in range(200)))
        assert all(status == 200 and 'pg_up{stack="shop",target="main"} 1.0' in text for status, text in pages)
    assert counter.round_trips < 100  # 28, most of the background: the scrapes share a reading, too
    assert counter.connections <= 2  # one for scrapes, one for the background
    await until(lambda: len(limited_postgres.backends()) == 1)


async def test_clients_that_hang_up_do_not_block_later_scrapes(exporter, limited_postgres, until) -> None:
    await exporter.scrape()
    await until(lambda: len(limited_postgres.backends()) == 1)  # the background has closed its connection
    [backend] = limited_postgres.backends()
    address = urlsplit(exporter.url)
    with limited_postgres.held(backend):
        for _ in range(50):
            with socket.create_connection((address.hostname, address.port)) as client:
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n")
                await asyncio.sleep(0.01)
    page = await exporter.scrape()
    assert page.value("pg_up") == 1
    assert limited_postgres.backends() == [backend]


async def test_cancelled_scrape_does_not_block_later_scrapes(limited_postgres, until) -> None:
    await until(lambda: not limited_postgres.backends())
    inventory = Inventory(
        stacks={"shop": Stack(postgres={"main": PostgresTarget.model_validate({"dsn": limited_postgres.dsn})})}
    )
    loop = asyncio.get_running_loop()
    scraper = Scraper(inventory)
    async with scraper.running():
        await scraper.scrape(loop.time() + 5, Selection())
        await until(lambda: len(limited_postgres.backends()) == 1)
        [backend] = limited_postgres.backends()
        with limited_postgres.held(backend):
            for _ in range(20):
                scrape = asyncio.create_task(scraper.scrape(loop.time() + 5, Selection()))
                await asyncio.sleep(0.01)
                scrape.cancel()
                await asyncio.gather(scrape, return_exceptions=True)
        await asyncio.wait_for(scraper.wait_until_idle(), 60)
        began = loop.time()
        await scraper.scrape(began + 30, Selection())
        assert loop.time() - began < 25, "it waited for its deadline"
        assert [each.problem for each in scraper.targets] == [""]
        assert limited_postgres.backends() == [backend]


async def test_postgres_is_up_again_after_a_restart(exporter, limited_postgres) -> None:
    assert (await exporter.scrape()).value("pg_up") == 1
    limited_postgres.server.stop()
    try:
        page = await exporter.scrape()
        assert page.value("pg_up") == 0
        assert page.value("runbook_exporter_collector_timeout") == 0
    finally:
        limited_postgres.server.start()
    await exporter.scrape_until(lambda page: page.value("pg_up") == 1, SILENCE_SECONDS)


async def test_redis_is_up_again_after_a_restart(start_exporter, servers_folder) -> None:
    server = RedisServer(servers_folder / "restarted_redis")
    server.start()
    try:
        exporter = await start_exporter(
            f"stacks: {{shop: {{redis: {{main: {{url: '{server.url()}'}}}}, queues: {{jobs: {{redis: main}}}}}}}}"
        )
        await exporter.scrape_until(lambda page: page.value("bullmq_up") == 1)
        server.stop()
        page = await exporter.scrape()
        assert (page.value("redis_up"), page.value("bullmq_up")) == (0, 0)
        server.start()
        await exporter.scrape_until(lambda page: page.value("redis_up") and page.value("bullmq_up"), SILENCE_SECONDS)
    finally:
        server.remove()


async def test_changed_postgres_password_is_read_again(start_exporter, limited_postgres, tmp_path) -> None:
    server = limited_postgres.server
    server.sql("SET log_min_error_statement = panic; CREATE ROLE changing LOGIN PASSWORD 'first' IN ROLE pg_monitor")
    file = tmp_path / "dsn"
    file.write_text(f"postgresql://changing:first@127.0.0.1:{server.port}/postgres")
    try:
        exporter = await start_exporter(f"stacks: {{shop: {{postgres: {{main: {{dsn_file: '{file}'}}}}}}}}")
        assert (await exporter.scrape()).value("pg_up") == 1
        server.sql("ALTER ROLE changing PASSWORD 'second'")
        assert (await exporter.scrape()).value("pg_up") == 1  # the open session keeps working
        server.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'changing'")
        await exporter.scrape_until(lambda page: page.value("pg_up") == 0)
        assert "password authentication failed" in (await exporter.get("/"))[1]
        file.write_text(f"postgresql://changing:second@127.0.0.1:{server.port}/postgres")
        await exporter.scrape_until(lambda page: page.value("pg_up") == 1, SILENCE_SECONDS)
    finally:
        server.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'changing'")
        server.sql("DROP ROLE changing")


async def test_changed_redis_password_is_read_again(start_exporter, servers_folder, tmp_path) -> None:
    server = RedisServer(servers_folder / "changing_redis", password="first")
    server.start()
    file = tmp_path / "url"
    file.write_text(server.url())
    try:
        exporter = await start_exporter(f"stacks: {{shop: {{redis: {{main: {{url_file: '{file}'}}}}}}}}")
        assert (await exporter.scrape()).value("redis_up") == 1
        with redis.Redis.from_url(server.url()) as client:
            client.config_set("requirepass", "second")
            client.client_kill_filter(_type="normal", skipme=True)
        await exporter.scrape_until(lambda page: page.value("redis_up") == 0)
        assert "invalid username-password pair" in (await exporter.get("/"))[1]
        file.write_text(server.url("", "second"))
        await exporter.scrape_until(lambda page: page.value("redis_up") == 1, SILENCE_SECONDS)
    finally:
        server.remove()


async def test_cut_connections_recover_without_a_leak(start_exporter, limited_postgres, proxy) -> None:
    cutter, port = await proxy(limited_postgres.server.port)
    exporter = await start_exporter(
        POSTGRES.format(dsn=limited_postgres.dsn.replace(f":{limited_postgres.server.port}/", f":{port}/"))
    )
    await exporter.scrape()
    files = open_files()
    for _ in range(5):
        await cutter.cut()
        await exporter.scrape_until(lambda page: page.value("pg_up") == 1)
    assert len(limited_postgres.backends()) <= 2
    assert open_files() <= files + 2


async def test_old_connection_is_renewed_so_that_a_locked_role_shows(exporter, limited_postgres, monkeypatch) -> None:
    await exporter.scrape_until(lambda page: page.value("pg_up") == 1)
    limited_postgres.server.sql("ALTER ROLE metrics NOLOGIN")
    try:
        assert (await exporter.scrape()).value("pg_up") == 1
        monkeypatch.setattr(connection, "OLDEST_SECONDS", 0.0)
        assert (await exporter.scrape()).value("pg_up") == 0
        assert "not permitted to log in" in (await exporter.get("/"))[1]
    finally:
        limited_postgres.server.sql("ALTER ROLE metrics LOGIN")
    await exporter.scrape_until(lambda page: page.value("pg_up") == 1)
    for _ in range(5):  # a renewal is no gap, although the role may have two connections only
        assert (await exporter.scrape()).value("pg_up") == 1
