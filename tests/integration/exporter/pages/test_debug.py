"""`/metrics?debug=true` and the landing page: what each target did, and no secrets."""

import re

import pytest

from demo.servers.redis import RedisServer

INVENTORY = """\
stacks:
  shop:
    redis:
      main: {{url: "{redis}"}}
      refused: {{url: "redis://metrics:hunter2@127.0.0.1:{port}"}}
    queues: {{jobs: {{redis: main}}}}
    http: {{api: {{url: "http://127.0.0.1:1/"}}}}
  mail:
    postgres: {{main: {{dsn: "postgresql://metrics:hunter2@127.0.0.1:1/mail"}}}}
"""
SECONDS = re.compile(r"\d+\.\d{3} s")


@pytest.fixture
async def exporter(start_exporter, redis_url, redis_server):
    return await start_exporter(INVENTORY.format(redis=redis_url, port=redis_server.port))


async def debug(exporter, query: str = "") -> list[str]:
    """Return the lines of the page, with every duration as `… s`."""
    status, text = await exporter.get(f"/metrics?debug=true{query}")
    assert status == 200
    return [SECONDS.sub("… s", line) for line in text.splitlines()]


async def test_debug_page_reports_each_lane(exporter) -> None:
    await exporter.scrape_until(lambda page: page.value("bullmq_up") == 1)
    lines = await debug(exporter)
    assert lines[0] == "shop/redis/main: up"
    assert re.fullmatch(r"  scrape: … s, round trips 1, samples \d{2,}", lines[1])
    at = lines.index("shop/queues/jobs: up")
    assert re.fullmatch(r"  scrape: … s, round trips \d, samples \d", lines[at + 1])
    assert re.fullmatch(r"  background: … s, round trips \d, samples \d", lines[at + 2])
    at = next(number for number, line in enumerate(lines) if line.startswith("shop/redis/refused: "))
    assert "invalid username-password pair" in lines[at]
    assert lines[at + 1].startswith("  scrape: … s, error: invalid username")
    assert any(line.startswith("mail/postgres/main: ") and "the connection is refused" in line for line in lines)
    assert "hunter2" not in "".join(lines)


async def test_debug_page_lists_only_the_selected_collector(exporter) -> None:
    assert {line.split(":")[0] for line in await debug(exporter, "&collector=redis") if line[0] != " "} == {
        "shop/redis/main",
        "shop/redis/refused",
    }
    assert await exporter.get("/metrics?debug=yes") == (400, "debug must be true or false, not 'yes'\n")


async def test_debug_page_reports_a_hung_target_before_the_deadline(start_exporter, servers_folder, silent) -> None:
    exporter = await start_exporter(f"stacks: {{shop: {{redis: {{main: {{url: 'redis://127.0.0.1:{silent}'}}}}}}}}")
    status, text = await exporter.get("/metrics?debug=true", X_Prometheus_Scrape_Timeout_Seconds="1")
    assert (status, SECONDS.sub("… s", text)) == (
        200,
        "shop/redis/main: no answer before the deadline\n  scrape: … s, timeout: no answer before the deadline\n",
    )


async def test_landing_page_keeps_the_last_error_of_a_recovered_target(start_exporter, servers_folder) -> None:
    server = RedisServer(servers_folder / "landing_redis")
    server.start()
    try:
        exporter = await start_exporter(f"stacks: {{shop: {{redis: {{main: {{url: '{server.url()}'}}}}}}}}")
        await exporter.scrape()
        assert "<td>shop/redis/main</td><td>up</td><td></td>" in (await exporter.get("/"))[1]
        server.stop()
        assert (await exporter.scrape()).value("redis_up") == 0
        server.start()
        await exporter.scrape_until(lambda page: page.value("redis_up") == 1)
        body = (await exporter.get("/"))[1]
        assert re.search(r"<td>shop/redis/main</td><td>up</td><td>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: \w", body), body
    finally:
        server.remove()
