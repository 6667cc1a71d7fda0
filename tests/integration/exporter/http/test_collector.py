"""The HTTP probe, against a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.integration.exporter.conftest import BUSY_SECONDS, TIMEOUT_SECONDS
from tests.integration.exporter.http.site import serve


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """Serve pages whose names are their status or behavior; give the site's address."""

    async def page(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name == "slow":
            await asyncio.sleep(30)
        if name == "endless":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 1024)
                await asyncio.sleep(0.001)
        if name == "moved":
            raise web.HTTPFound("/200")
        return web.Response(status=int(name), text="text")

    async with serve(page) as address:
        yield address


def inventory(url: str, settings: str = "") -> str:
    return f"stacks: {{shop: {{http: {{api: {{url: '{url}' {settings}}}}}}}}}"


@pytest.mark.parametrize(
    ("path", "settings", "success", "status"),
    [
        ("/200", "", 1, 200),
        ("/503", "", 0, 503),
        ("/401", ", status: 401", 1, 401),
        ("/moved", "", 1, 200),
        ("/moved", ", status: 302", 1, 302),
        ("/endless", "", 1, 200),
    ],
)
async def test_probe_compares_the_status_with_the_expected_one(
    start_exporter, site, path, settings, success, status
) -> None:
    page = await (await start_exporter(inventory(site + path, settings))).scrape()
    labels = {"stack": "shop", "target": "api"}
    assert page.value("probe_success", **labels) == success
    assert page.value("probe_http_status_code", **labels) == status
    assert 0 < page.value("probe_duration_seconds", **labels) < TIMEOUT_SECONDS
    assert page.value("runbook_exporter_collector_success", collector="http", **labels) == 1


async def test_unreachable_endpoint_reports_status_zero(start_exporter) -> None:
    exporter = await start_exporter(inventory("http://127.0.0.1:1/"))
    page = await exporter.scrape()
    assert page.value("probe_success") == 0
    assert page.value("probe_http_status_code") == 0
    assert "127.0.0.1:1" in (await exporter.get("/"))[1]


async def test_slow_endpoint_fails_at_the_deadline(start_exporter, site) -> None:
    exporter = await start_exporter(inventory(f"{site}/slow"))
    page = await exporter.scrape(allowed=1.5)
    assert "no answer before the deadline" in (await exporter.get("/"))[1]
    assert page.seconds < 1.5 + BUSY_SECONDS
    assert page.value("probe_success") == 0
    assert page.value("runbook_exporter_collector_timeout", collector="http") == 1
