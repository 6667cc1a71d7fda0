"""Faults of real servers: the page arrives in time with status 200, and lacks only the failed target's samples."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from demo.servers.proc import read_status
from demo.servers.redis import RedisServer
from tests.integration.exporter.conftest import BUSY_SECONDS, TIMEOUT_SECONDS

ALLOWED = 1.5
"""Where a target is down; others have the time of a busy machine."""
INVENTORY = """\
stacks:
  shop:
    postgres: {{main: {{dsn: "{dsn}"}}}}
    redis: {{main: {{url: "{redis}"}}}}
"""


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def assert_only(page, *down: str, timeout: bool = True) -> None:
    """Check that the page waited for no target, and that exactly the targets of these collectors are down."""
    assert page.seconds < ALLOWED + BUSY_SECONDS
    for kind, up, sample in (
        ("postgres", "pg_up", "pg_settings_max_connections"),
        ("redis", "redis_up", "redis_uptime_in_seconds"),
    ):
        healthy = kind not in down
        assert page.value(up) == healthy
        assert page.value("runbook_exporter_collector_success", collector=kind) == healthy
        assert page.value("runbook_exporter_collector_timeout", collector=kind) == (not healthy and timeout)
        assert (page.value(sample) is not None) == healthy


@pytest.fixture
async def exporter(start_exporter, limited_postgres, redis_url, until):
    await until(lambda: not limited_postgres.backends())
    exporter = await start_exporter(INVENTORY.format(dsn=limited_postgres.dsn, redis=redis_url))
    assert_only(await exporter.scrape())
    await exporter.scrape_after_jobs()
    await until(lambda: len(limited_postgres.backends()) == 1)  # the background has closed its connection
    return exporter


async def test_frozen_backend_costs_one_scrape_and_one_extra_connection(exporter, limited_postgres) -> None:
    [backend] = limited_postgres.backends()
    with limited_postgres.held(backend):
        assert_only(await exporter.scrape(allowed=ALLOWED), "postgres")
        await exporter.scrape_until(lambda page: page.value("pg_up") == 1)
        assert len(limited_postgres.backends()) == 2
    await exporter.scrape_until(lambda _: len(limited_postgres.backends()) == 1)
    assert_only(await exporter.scrape())


async def test_frozen_postmaster_and_backend_leave_no_tasks_or_files(exporter, limited_postgres) -> None:
    [backend] = limited_postgres.backends()
    status = read_status(backend)
    assert status is not None
    tasks, files = len(asyncio.all_tasks()), open_files()
    with limited_postgres.held(status.parent), limited_postgres.held(backend):
        for _ in range(4):
            assert_only(await exporter.scrape(allowed=ALLOWED), "postgres")
            await asyncio.sleep(0.3)
        assert len(asyncio.all_tasks()) <= tasks
        assert open_files() <= files
    await exporter.scrape_until(lambda page: page.value("pg_up") == 1)
    await exporter.scrape_until(lambda _: len(limited_postgres.backends()) == 1)


@pytest.mark.parametrize("connected", [True, False])
async def test_black_hole_ends_at_the_deadline_and_recovers(
    start_exporter, limited_postgres, redis_server, redis_url, proxy, connected
) -> None:
    holes = []
    addresses = []
    for server, address in ((limited_postgres.server, limited_postgres.dsn), (redis_server, redis_url)):
        hole, port = await proxy(server.port)
        holes.append(hole)
        addresses.append(address.replace(f":{server.port}/", f":{port}/"))
    exporter = await start_exporter(INVENTORY.format(dsn=addresses[0], redis=addresses[1]))
    if connected:
        assert_only(await exporter.scrape())
    for hole in holes:
        hole.black_hole = True
    for _ in range(2):
        assert_only(await exporter.scrape(allowed=ALLOWED), "postgres", "redis")
    for hole in holes:
        hole.black_hole = False
    await exporter.scrape_until(lambda page: page.value("pg_up") and page.value("redis_up"))


async def test_unanswered_connection_attempts_end_at_the_deadline(start_exporter, unreachable, redis_url) -> None:
    dsn = f"postgresql://metrics:x@127.0.0.1:{unreachable}/shop"
    exporter = await start_exporter(INVENTORY.format(dsn=dsn, redis=redis_url))
    for _ in range(2):
        assert_only(await exporter.scrape(allowed=ALLOWED), "postgres")


async def test_slow_network_fails_only_beyond_the_deadline(start_exporter, limited_postgres, redis_url, proxy) -> None:
    slow, port = await proxy(limited_postgres.server.port)
    dsn = limited_postgres.dsn.replace(f":{limited_postgres.server.port}/", f":{port}/")
    exporter = await start_exporter(INVENTORY.format(dsn=dsn, redis=redis_url))
    assert_only(await exporter.scrape())
    slow.delay = 0.2
    page = await exporter.scrape()
    assert_only(page)
    assert page.value("runbook_exporter_collector_duration_seconds", collector="postgres") >= 0.4
    slow.delay = 2
    assert_only(await exporter.scrape(allowed=ALLOWED), "postgres")


async def test_redis_busy_with_a_script_is_down_until_it_ends(start_exporter, limited_postgres, servers_folder) -> None:
    server = RedisServer(servers_folder / "scripted_redis")
    server.start()
    try:
        exporter = await start_exporter(INVENTORY.format(dsn=limited_postgres.dsn, redis=server.url()))
        assert_only(await exporter.scrape())
        async with Redis(port=server.port) as product:
            await product.config_set("busy-reply-threshold", 2500)
            running = asyncio.create_task(product.eval("while true do end", 0))
            await asyncio.sleep(0.1)
            assert_only(await exporter.scrape(allowed=ALLOWED), "redis")
            # After the threshold it answers that it is busy.
            await exporter.scrape_until(
                lambda page: page.value("runbook_exporter_collector_timeout", collector="redis") == 0
            )
            assert_only(await exporter.scrape(allowed=ALLOWED), "redis", timeout=False)
            await product.script_kill()
            await asyncio.gather(running, return_exceptions=True)
        await exporter.scrape_until(lambda page: page.value("redis_up") == 1)
    finally:
        server.remove()


async def test_storage_that_never_answers_does_not_delay_the_page(start_exporter, silent, redis_url) -> None:
    options: Mapping[str, str] = {
        "aws_endpoint": f"http://127.0.0.1:{silent}",
        "aws_allow_http": "true",
        "aws_region": "x",
        "aws_access_key_id": "x",
        "aws_secret_access_key": "x",
    }
    backups = f"{{nightly: {{url: 's3://bucket/', pattern: '%Y%m%d', refresh: 1s, options: {dict(options)}}}}}"
    exporter = await start_exporter(
        f"stacks: {{shop: {{redis: {{main: {{url: '{redis_url}'}}}}, backups: {backups}}}}}"
    )
    page = await exporter.scrape_until(
        lambda page: page.value("runbook_exporter_collector_timeout", collector="backups") == 1, 15
    )
    assert page.seconds < TIMEOUT_SECONDS / 2, "it waited for the storage"
    assert page.value("backup_up") == 0
    assert page.value("runbook_exporter_collector_success", collector="backups") == 0
    assert page.value("redis_up") == 1


@pytest.fixture
async def product(limited_postgres) -> AsyncIterator[list[asyncpg.Connection]]:
    """Open sessions of the product."""
    sessions = [await asyncpg.connect(limited_postgres.server.dsn()) for _ in range(5)]
    yield sessions
    for session in sessions:
        session.terminate()


async def test_table_lock_adds_no_connections_and_is_measured(exporter, limited_postgres, product) -> None:
    altering, *waiting = product
    await altering.execute("CREATE TABLE orders (id int)")
    await altering.execute("BEGIN; ALTER TABLE orders ADD COLUMN note text")
    try:
        queries = [asyncio.create_task(session.execute("SELECT * FROM orders")) for session in waiting]
        end = asyncio.get_running_loop().time() + 5
        while asyncio.get_running_loop().time() < end:
            page = await exporter.scrape()
            assert_only(page)
            assert len(limited_postgres.backends()) == 1
        assert page.value("pg_sessions_blocked") == 4
        assert page.value("pg_blocked_max_age_seconds") > 4
    finally:
        await altering.execute("ROLLBACK")
        await altering.execute("DROP TABLE IF EXISTS orders")
    await asyncio.gather(*queries)


@pytest.mark.parametrize("catalog", ["pg_extension", "pg_database"])
async def test_catalog_lock_that_blocks_scrapes_adds_no_connections(
    exporter, limited_postgres, product, catalog
) -> None:
    """Every part reads pg_extension, many read pg_database. A lock on it (as VACUUM FULL takes) also blocks logins."""
    locking = product[0]
    await locking.execute(f"BEGIN; LOCK TABLE {catalog}")
    began = asyncio.get_running_loop().time()
    try:
        while asyncio.get_running_loop().time() < began + 3:
            page = await exporter.scrape(allowed=ALLOWED)
            assert page.seconds < ALLOWED + BUSY_SECONDS
            assert page.value("redis_up") == 1
            assert page.value("pg_up") == 0 or catalog == "pg_database"
            await asyncio.sleep(0.1)
        count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'metrics' OR backend_type IS NULL"
        assert await locking.fetchval(count) <= 2
    finally:
        await locking.execute("ROLLBACK")
    await exporter.scrape_until(lambda page: page.value("pg_up") == 1)
    await exporter.scrape_until(lambda _: len(limited_postgres.backends()) == 1)
