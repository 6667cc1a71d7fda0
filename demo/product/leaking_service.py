"""A service of the product that an incident lets leak until it dies for want of memory.

`GET /healthy` answers 200; `PUT /leak` begins the leak, which ends at MAX_BYTES beyond the memory of the start.
"""

import asyncio
import os
import resource
import sys
from pathlib import Path

import typer
from aiohttp import web

MAX_BYTES = 64 * 2**20
STEP_BYTES = 8 * 2**20
STEP_SECONDS = 0.2


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="healthy\n")


async def _leak(request: web.Request) -> web.Response:
    request.app[_LEAK].append(asyncio.create_task(_leak_until_the_end()))
    return web.Response(text="leaking\n")


_LEAK = web.AppKey("leak", list[asyncio.Task[None]])


async def _leak_until_the_end() -> None:
    kept = []
    try:
        while True:
            kept.append(bytearray(STEP_BYTES))
            await asyncio.sleep(STEP_SECONDS)
    except MemoryError:
        print("out of memory", file=sys.stderr, flush=True)
        os._exit(1)  # as the kernel would end it: without a farewell


def main(port: int) -> None:
    """Serve on 127.0.0.1:PORT until SIGTERM, or until the memory is used up."""
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, used + MAX_BYTES))
    app = web.Application()
    app[_LEAK] = []
    app.add_routes([web.get("/healthy", _healthy), web.put("/leak", _leak)])
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    typer.run(main)
