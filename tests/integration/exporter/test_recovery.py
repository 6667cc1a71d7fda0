"""Each kind of target is up again within two scrapes after its server answers again, however long it was gone."""

from time import monotonic

import pytest
import yaml
from aiohttp import web

from demo.servers.s3 import ACCESS_KEY, REGION, SECRET_KEY
from exporter.scheduling import background_lane, backoff
from tests.integration.exporter.http.site import serve

TWO_SCRAPES = 30.0
UPS = {"pg_up", "redis_up", "bullmq_up", "probe_success", "backup_up"}


def test_longest_wait_of_every_lane_is_at_most_two_scrapes() -> None:
    assert backoff.LONGEST_SECONDS + 0.5 <= TWO_SCRAPES / 2
    assert background_lane.LONGEST_WAIT_SECONDS <= TWO_SCRAPES


@pytest.fixture
async def proxies(proxy, database, redis_url, bucket):
    """Put a proxy in front of each server, and return the proxies with an inventory of a target of each kind."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="fine")

    async with serve(page) as site:
        redis_port, site_port, s3_port = (
            int(url.rstrip("/").rpartition(":")[2].partition("/")[0]) for url in (redis_url, site, bucket.server.url)
        )
        started = [await proxy(port) for port in (database.server.port, redis_port, site_port, s3_port)]
        postgres, redis, http, s3 = (port for _, port in started)
        options = {"aws_endpoint": f"http://127.0.0.1:{s3}", "aws_allow_http": "true", "aws_region": REGION}
        options |= {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        stack = {
            "postgres": {"main": {"dsn": database.dsn().replace(f":{database.server.port}/", f":{postgres}/")}},
            "redis": {"main": {"url": f"redis://127.0.0.1:{redis}/0"}},
            "queues": {"jobs": {"redis": "main", "refresh": "1s"}},
            "http": {"api": {"url": f"http://127.0.0.1:{http}/fine"}},
            "backups": {"nightly": {"url": bucket.url, "pattern": "%Y%m%d", "refresh": "1s", "options": options}},
        }
        yield [each for each, _ in started], yaml.safe_dump({"stacks": {"shop": stack}})


async def test_every_kind_is_up_again_within_two_scrapes(start_exporter, proxies) -> None:
    servers, inventory = proxies
    exporter = await start_exporter(inventory)
    await exporter.scrape_until(lambda page: all(page.value(up) == 1 for up in UPS))
    for server in servers:
        server.refuses = True
        await server.cut()
    await exporter.scrape_until(lambda page: all(page.value(up) == 0 for up in UPS), 30)
    for server in servers:
        server.refuses = False
    began = monotonic()
    await exporter.scrape_until(lambda page: all(page.value(up) == 1 for up in UPS), TWO_SCRAPES)
    assert monotonic() - began < TWO_SCRAPES
