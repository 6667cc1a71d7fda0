"""Reloads the inventory while running: POST or PUT on `/-/reload`, or SIGHUP."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

import structlog
from aiohttp import web

from runbookd.inventory import InventoryError, Problem

Loaded = TypeVar("Loaded")
Reload = Callable[[str], Awaitable[str]]
RELOAD: web.AppKey[Reload] = web.AppKey("reload")
SIGNAL = "signal"  # who reloads by SIGHUP
SUCCESS_HELP = (
    "Whether the last reload of the inventory succeeded (1); if it failed (0), the previous inventory stays in use."
)
NO_STACKS = "the new inventory names no stack and may be half written; restart to run without stacks"
TIME_HELP = "When the inventory in use was loaded, in seconds since 1970."
log = structlog.get_logger(__name__)


class ReloadFailed(Exception):
    """A reload changed nothing, although the inventory is valid. One line: cause; remedy."""


def refuse_half_written(previous: Collection[str], stacks: Collection[str]) -> None:
    """Refuse an inventory without stacks after one with stacks. Raises InventoryError."""
    if previous and not stacks:
        raise InventoryError([Problem("", "stacks", NO_STACKS)])


class InventoryReload(Generic[Loaded]):
    """Reloads an inventory: one reload at a time, wholly or not at all.

    `load` reads and checks the file in a thread. `apply` receives the inventory and who reloads, puts it in use and
    returns further lines for the answer. To refuse, either raises InventoryError or ReloadFailed and changes nothing.
    """

    def __init__(self, load: Callable[[], Loaded], apply: Callable[[Loaded, str], Awaitable[str]]) -> None:
        self._load = load
        self._apply = apply
        self._lock = asyncio.Lock()
        self.problem = ""
        """Why the last reload failed, or empty."""
        self.loaded_at = time.time()

    async def __call__(self, actor: str) -> str:
        """Reload on behalf of `actor`, and return the answer.

        Raises:
            InventoryError: the inventory is invalid; the previous one stays in use.
            ReloadFailed: it cannot be put in use now; the previous one stays in use.
        """
        async with self._lock:
            try:
                more = await self._apply(await asyncio.to_thread(self._load), actor)
            except Exception as error:
                is_expected = isinstance(error, InventoryError | ReloadFailed)
                self.problem = str(error) if is_expected else f"unexpected {type(error).__name__}"
                log.error("reload failed, keeping the previous inventory", by=actor, reason=self.problem)
                raise
            self.problem, self.loaded_at = "", time.time()
        return f"reloaded\n{more}"


def add_reload_route(
    app: web.Application, reload: Reload, authorize: Callable[[web.Request], str] = lambda _: "http"
) -> None:
    """Add the route, and reload on SIGHUP, too. `authorize` returns who sends a request, or raises."""

    async def handle_reload(request: web.Request) -> web.Response:
        actor = authorize(request)
        try:
            # Shielded: a client that hangs up must not leave half of a reload behind.
            return web.Response(text=await asyncio.shield(reload(actor)))
        except InventoryError as error:
            return web.Response(status=500, text=f"invalid inventory ignored, keeping the previous one:\n{error}\n")
        except ReloadFailed as error:
            return web.Response(status=503, text=f"reload failed, keeping the previous inventory: {error}\n")

    app[RELOAD] = reload
    app.router.add_post("/-/reload", handle_reload)
    app.router.add_put("/-/reload", handle_reload)


def reload_on_sighup(app: web.Application) -> None:
    """Reload on every SIGHUP while `app` runs; serve() handles applications without a reload.

    The signal is caught from before the start of `app` until after its end: its default action would kill the process.
    A signal during the start is answered by a reload after it.
    """
    if RELOAD in app:
        sighup = asyncio.Event()
        app.cleanup_ctx.insert(0, partial(_catch_sighup, sighup))
        app.cleanup_ctx.append(partial(_answer_sighup, sighup))


async def _catch_sighup(sighup: asyncio.Event, _: web.Application) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, sighup.set)
    yield
    loop.remove_signal_handler(signal.SIGHUP)


async def _answer_sighup(sighup: asyncio.Event, app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(_reload_on(sighup, app[RELOAD]), name="reload on SIGHUP")
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _reload_on(sighup: asyncio.Event, reload: Reload) -> None:
    while True:
        await sighup.wait()
        sighup.clear()  # before the reload: a signal during it announces a newer file
        with suppress(Exception):  # the reload has logged it; the task must survive for the next signal
            await reload(SIGNAL)
