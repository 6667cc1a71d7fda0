"""A proxy of the storage that injects faults."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web


@asynccontextmanager
async def faulty_storage(endpoint: str, faults: Callable[[web.Request, bytes], web.Response | None]) -> Any:
    """Serve a proxy of the storage, whose answers `faults` may replace; yield its address.

    With the attribute `before`, the storage does not see a request whose answer is replaced. The attribute `earlier` is
    called before each request.
    """

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        if (earlier := getattr(faults, "earlier", None)) is not None:
            await earlier(request)
        if getattr(faults, "before", False) and (answer := faults(request, b"")) is not None:
            return answer
        async with http.request(
            request.method, f"{endpoint}{request.raw_path}", data=body, headers=request.headers
        ) as answer:
            content = await answer.read()
            kept = ("ETag", "Last-Modified", *(["Content-Length"] if request.method == "HEAD" else []))
            headers = {name: answer.headers[name] for name in kept if name in answer.headers}
            real = web.Response(status=answer.status, body=content, headers=headers)
            return faults(request, content) or real

    async with aiohttp.ClientSession(auto_decompress=False) as http:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
        await runner.cleanup()
