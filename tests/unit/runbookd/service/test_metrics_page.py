"""The metrics page has the format that the client accepts, over a real socket."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry, Counter

from runbookd.service import metrics_response
from runbookd.service.exposition import Format


@pytest.fixture
async def url() -> AsyncIterator[str]:
    registry = CollectorRegistry()
    Counter("cups", "Cups of coffee.", registry=registry).inc(3)
    app = web.Application()

    async def page(request: web.Request) -> web.Response:
        return await metrics_response(lambda format: format.encode([registry]), request)

    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
    await runner.cleanup()


async def fetch(url: str, **headers: str) -> tuple[str, str, bytes]:
    async with ClientSession(auto_decompress=False, skip_auto_headers=["Accept", "Accept-Encoding"]) as session:
        answer = await session.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return answer.headers["Content-Type"], answer.headers.get("Content-Encoding", ""), await answer.read()


async def test_default_format_is_plain_text(url: str) -> None:
    kind, encoding, body = await fetch(url)
    assert kind.startswith("text/plain; version=")
    assert encoding == ""
    assert b"cups_total 3.0\n" in body


async def test_client_can_request_openmetrics_and_gzip(url: str) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    kind, encoding, body = await fetch(url, Accept=accept, Accept_Encoding="deflate, gzip")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert encoding == "gzip"
    assert gzip.decompress(body).endswith(b"# EOF\n")


async def test_page_is_compressed_while_name_lookups_block_all_shared_threads(url: str) -> None:
    answered = threading.Event()
    lookups = [asyncio.create_task(asyncio.to_thread(answered.wait)) for _ in range(100)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            assert (await fetch(url, Accept_Encoding="gzip"))[1] == "gzip"
    finally:
        answered.set()
        await asyncio.gather(*lookups)


async def test_loop_serves_others_while_a_page_is_encoded() -> None:
    encoding, served = threading.Event(), threading.Event()

    def encode(_: Format) -> bytes:
        encoding.set()
        return b"page" if served.wait(20) else b"the loop was blocked"

    answer = asyncio.create_task(metrics_response(encode, make_mocked_request("GET", "/metrics")))
    await asyncio.to_thread(encoding.wait, 20)
    served.set()
    assert (await answer).body == b"page"
