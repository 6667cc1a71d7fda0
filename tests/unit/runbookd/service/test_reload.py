"""Reloads by HTTP and by signal, of any application."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runbookd.inventory import InventoryError, Problem
from runbookd.service import InventoryReload, ReloadFailed, add_reload_route
from runbookd.service.reload import reload_on_sighup
from tests.unit.remediator.polling import becomes


async def test_sighup_during_start_and_end_does_not_end_the_process() -> None:
    """The default action of SIGHUP would end this process."""
    app, actors = web.Application(), []

    async def slow_start_and_end(_: web.Application) -> AsyncIterator[None]:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05)
        assert actors == [], "the parts that a reload needs have not started"
        yield
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05)

    async def reload(actor: str) -> str:
        actors.append(actor)
        return "reloaded\n"

    async def seen_actors() -> list[str]:
        return actors

    app.cleanup_ctx.append(slow_start_and_end)
    add_reload_route(app, reload)
    reload_on_sighup(app)
    async with TestClient(TestServer(app)):
        await becomes(seen_actors, ["signal"])
    assert actors == ["signal"]


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (InventoryError([Problem("f:3", "stacks", "bad")]), 500, "keeping the previous one:\nf:3: stacks: bad\n"),
        (ReloadFailed("no disk"), 503, "reload failed, keeping the previous inventory: no disk\n"),
    ],
)
async def test_refused_reload_is_answered_with_its_reason(error: Exception, status: int, text: str) -> None:
    async def refuse(_inventory: None, _actor: str) -> str:
        raise error

    app, reload = web.Application(), InventoryReload(lambda: None, refuse)
    add_reload_route(app, reload)
    loaded_at = reload.loaded_at
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/-/reload")
        assert (answer.status, (await answer.text()).endswith(text)) == (status, True)
    assert (reload.problem, reload.loaded_at) == (str(error), loaded_at)


async def test_reloads_follow_one_another() -> None:
    steps: list[str] = []

    async def apply(_inventory: None, actor: str) -> str:
        steps.append(f"{actor} begins")
        await asyncio.sleep(0)
        steps.append(f"{actor} ends")
        return ""

    reload = InventoryReload(lambda: None, apply)
    await asyncio.gather(reload("a"), reload("b"))
    assert steps == ["a begins", "a ends", "b begins", "b ends"]
