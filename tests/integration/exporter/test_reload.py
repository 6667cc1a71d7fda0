"""Reloads of the inventory, by HTTP and by signal, with scrapes under way."""

import asyncio
import os
import signal
from functools import partial
from pathlib import Path

import pytest
import redis

from demo.servers.redis import RedisServer
from exporter.app import SCRAPER, build_app
from runbookd.inventory import load_inventory
from runbookd.service.reload import reload_on_sighup

STATE = "runbook_exporter_config_last_reload_success"
TIME = f"{STATE}_timestamp_seconds"


def stacks(**urls: str) -> str:
    """Return an inventory with a Redis in each stack."""
    return "stacks:\n" + "".join(f"  {name}: {{redis: {{main: {{url: '{url}'}}}}}}\n" for name, url in urls.items())


def clients(url: str) -> set[str]:
    """Return the ids of the exporter's connections."""
    with redis.Redis.from_url(url) as client:
        return {entry["id"] for entry in client.client_list() if entry["name"] == "runbook-exporter"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the inventory file of `start_exporter`."""
    return tmp_path / "inventory.yml"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_valid_inventory_is_served_after_a_reload(start_exporter, redis_url, file, method) -> None:
    exporter = await start_exporter(stacks(shop=redis_url))
    before = await exporter.scrape()
    assert before.value(STATE) == 1
    file.write_text(stacks(mail=redis_url))
    assert await exporter.get("/-/reload", method) == (200, "reloaded\n")
    page = await exporter.scrape()
    assert page.value("redis_up", stack="mail") == 1
    assert page.series("redis_up", stack="shop") == {}
    assert page.value(TIME) > before.value(TIME)


async def test_only_a_post_or_a_put_reloads(start_exporter, redis_url, file) -> None:
    exporter = await start_exporter(stacks(shop=redis_url))
    file.write_text(stacks(mail=redis_url))
    assert (await exporter.get("/-/reload"))[0] == 405
    assert (await exporter.scrape()).value("redis_up", stack="shop") == 1


async def test_invalid_inventory_is_refused_and_the_previous_one_stays(start_exporter, redis_url, file) -> None:
    exporter = await start_exporter(stacks(shop=redis_url))
    before = await exporter.scrape()
    file.write_text(stacks(mail=redis_url) + "  shop: {reddis: {}}\n  third: {rediss: {}}\n")
    status, text = await exporter.get("/-/reload", "POST")
    assert status == 500
    assert f"{file}:3: stacks.shop.reddis: unknown key; did you mean 'redis'?\n" in text
    assert f"{file}:4: stacks.third.rediss: unknown key" in text
    page = await exporter.scrape()
    assert page.value("redis_up", stack="shop") == 1
    assert page.value(STATE) == 0
    assert page.value(TIME) == before.value(TIME)
    landing = (await exporter.get("/"))[1]
    assert "The last reload failed" in landing
    assert "stacks.shop.reddis: unknown key" in landing
    file.unlink()
    assert "cannot read the file: No such file" in (await exporter.get("/-/reload", "POST"))[1]
    file.write_text(stacks(shop=redis_url))
    assert (await exporter.get("/-/reload", "POST"))[0] == 200
    assert (await exporter.scrape()).value(STATE) == 1
    assert "The last reload failed" not in (await exporter.get("/"))[1]


async def test_inventory_without_stacks_is_refused_as_half_written(start_exporter, redis_url, file) -> None:
    exporter = await start_exporter(stacks(shop=redis_url))
    file.write_text("")
    status, text = await exporter.get("/-/reload", "POST")
    assert (status, "stacks: the new inventory names no stack and may be half written" in text) == (500, True)
    assert (await exporter.scrape()).value("redis_up", stack="shop") == 1


async def test_reload_keeps_the_connections_of_unchanged_stacks_only(start_exporter, redis_url, file, until) -> None:
    exporter = await start_exporter(stacks(shop=redis_url, mail=redis_url))
    await exporter.scrape("?stack=shop")
    kept = clients(redis_url)
    await exporter.scrape()
    assert len(kept) == 1
    assert len(clients(redis_url)) == 2
    file.write_text("limits: {concurrency: 2}\n" + stacks(shop=redis_url))
    await exporter.get("/-/reload", "POST")
    await until(lambda: clients(redis_url) == kept)
    await exporter.scrape()
    assert clients(redis_url) == kept


async def test_reload_keeps_background_readings(start_exporter, tmp_path, file) -> None:
    (tmp_path / "db_20260101.dump").write_bytes(b"x")
    nightly = f"backups: {{nightly: {{url: 'file://{tmp_path}', pattern: 'db_%Y%m%d.dump', refresh: 1h}}}}"
    exporter = await start_exporter(f"stacks: {{shop: {{{nightly}}}}}")
    before = await exporter.scrape_until(lambda page: page.value("backup_up") == 1)
    file.write_text(f"stacks: {{shop: {{runbook_url: 'https://new.example/', {nightly}}}}}")
    await exporter.get("/-/reload", "POST")
    page = await exporter.scrape()
    assert page.value("backup_up") == 1
    assert page.value("backup_last_check_timestamp_seconds") == before.value("backup_last_check_timestamp_seconds")
    assert page.value("stack_info", runbook_url="https://new.example/") == 1


async def test_scrape_under_way_ends_on_the_previous_inventory(
    start_exporter, servers_folder, redis_url, file, until
) -> None:
    held = RedisServer(servers_folder / "held_redis")
    held.start()
    identity = held.process.identity
    assert identity is not None
    try:
        exporter = await start_exporter(stacks(shop=held.url()))
        await exporter.scrape()
        os.kill(identity.pid, signal.SIGSTOP)
        under_way = asyncio.create_task(exporter.scrape())
        await asyncio.sleep(0.2)
        file.write_text(stacks(mail=redis_url))
        assert (await exporter.get("/-/reload", "POST"))[0] == 200
        assert set((await exporter.scrape()).series("redis_up").values()) == {1}
        await asyncio.sleep(0.2)
        os.kill(identity.pid, signal.SIGCONT)
        assert (await under_way).value("redis_up", stack="shop") == 1
        await until(lambda: not clients(held.url()))
    finally:
        os.kill(identity.pid, signal.SIGCONT)
        held.remove()


async def test_many_reloads_under_scrapes_leave_one_connection(start_exporter, redis_url, file, until) -> None:
    exporter = await start_exporter(stacks(shop=redis_url))
    other = redis_url.rpartition("/")[0] + "/1"
    await exporter.scrape()
    tasks = {task.get_name() for task in asyncio.all_tasks()}
    for turn in range(20):
        file.write_text(stacks(shop=(redis_url, other)[turn % 2]))
        async with asyncio.TaskGroup() as group:
            scrapes = [group.create_task(exporter.scrape()) for _ in range(5)]
            group.create_task(exporter.get("/-/reload", "POST"))
        assert all(task.result().value("redis_up", stack="shop") == 1 for task in scrapes)
    await exporter.scrape()
    await until(lambda: len(clients(redis_url)) == 1)
    assert "retire" not in {task.get_name() for task in asyncio.all_tasks()} - tasks


async def test_sighup_reloads_again_after_an_invalid_inventory(redis_url, file, until) -> None:
    file.write_text(stacks(shop=redis_url))
    app = build_app(load_inventory(file, {}), partial(load_inventory, file, {}))
    scraper = app[SCRAPER]
    reload_on_sighup(app)
    app.freeze()
    await app.startup()
    try:
        for text, done in (
            (stacks(mail=redis_url), lambda: set(scraper.current.stacks) == {"mail"}),
            ("stacks: [", lambda: scraper.reload.problem),
            (stacks(third=redis_url), lambda: set(scraper.current.stacks) == {"third"} and not scraper.reload.problem),
        ):
            file.write_text(text)
            os.kill(os.getpid(), signal.SIGHUP)
            await until(done)
    finally:
        await app.cleanup()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
