"""Reloads the inventory while running: POST or PUT on `/-/reload`, or SIGHUP."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from aiohttp import web

from runbookd.inventory import InventoryError

Reload = Callable[[], Awaitable[None]]
RELOAD: web.AppKey[Reload] = web.AppKey("reload")
log = structlog.get_logger(__name__)


def add_reload_route(app: web.Application, reload: Reload) -> None:
    """Add the route, and reload on SIGHUP, too.

    If the inventory is invalid, `reload` raises InventoryError and changes nothing.
    """

    async def handle_reload(_: web.Request) -> web.Response:
        try:
            # Shielded: a client that hangs up must not leave half of a reload behind.
            await asyncio.shield(reload())
        except InventoryError as error:
            return web.Response(status=500, text=f"invalid inventory ignored, keeping the previous one:\n{error}\n")
        return web.Response(text="reloaded\n")

    app[RELOAD] = reload
    app.router.add_post("/-/reload", handle_reload)
    app.router.add_put("/-/reload", handle_reload)


async def reload_on_sighup(app: web.Application) -> AsyncIterator[None]:
    """Reload on every SIGHUP while the context is open; serve() handles apps without reload."""
    if RELOAD not in app:
        yield
        return
    sighup = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, sighup.set)
    task = asyncio.create_task(_reload_on(sighup, app[RELOAD]), name="reload on SIGHUP")
    yield
    loop.remove_signal_handler(signal.SIGHUP)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _reload_on(sighup: asyncio.Event, reload: Reload) -> None:
    while True:
        await sighup.wait()
        sighup.clear()  # before the reload: a signal during it announces a newer file
        try:
            await reload()
        except InventoryError:
            continue  # logged by the reload itself
        except Exception as error:  # the task must survive for the next signal
            log.error("reload failed", reason=f"unexpected {type(error).__name__}")
