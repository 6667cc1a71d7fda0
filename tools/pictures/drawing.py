"""Draws boards in the fetched Chromium, and returns the result of each panel."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page

from tools.browser import chromium
from tools.pictures.renderer import FONTS, ICONS, PAGE

WIDTH = 1600
_SECONDS = 60


@dataclass(frozen=True)
class Job:
    """One picture to draw; `variables` are chosen values, others keep the board's default."""

    board: dict[str, Any]
    prometheus: str
    start: float
    end: float
    scrape_seconds: int
    theme: str
    variables: dict[str, list[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the job as the page takes it."""
        return {
            "board": self.board,
            "prometheus": self.prometheus,
            "from": round(self.start * 1000),
            "to": round(self.end * 1000),
            "scrapeSeconds": self.scrape_seconds,
            "theme": self.theme,
            "variables": self.variables,
        }


@dataclass(frozen=True)
class Outcome:
    """The result of drawing one panel."""

    title: str
    type: str
    frames: int
    rows: int
    error: str | None


@dataclass(frozen=True)
class Picture:
    """A drawn board, with the errors of its page."""

    png: bytes
    outcomes: Sequence[Outcome]
    errors: Sequence[str]


class Easel:
    """A browser with the renderer's page."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address

    async def vocabulary(self) -> dict[str, list[str]]:
        """Return the units, matchers, reducers, transformations and colours that Grafana's code knows."""
        page = await self._browser.new_page()
        await page.goto(self._address)
        words: dict[str, list[str]] = await page.evaluate("window.vocabulary()")
        await page.close()
        return words

    async def draw(self, job: Job) -> Picture:
        """Draw one board on a page of its own."""
        errors: list[str] = []
        page = await self._browser.new_page(viewport={"width": WIDTH, "height": 1000})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(_text(message)) if message.type == "error" else None)
        try:
            await page.goto(self._address)
            outcomes = await asyncio.wait_for(page.evaluate("job => window.draw(job)", job.to_json()), _SECONDS)
            png = await _shoot(page)
        finally:
            await page.close()
        return Picture(png, [_outcome(each) for each in outcomes], errors)


@asynccontextmanager
async def easel() -> AsyncIterator[Easel]:
    """Serve the page on a free port of loopback, and run a browser, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(PAGE)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        async with chromium() as browser:
            yield Easel(browser, f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        server.server_close()


class _Files(SimpleHTTPRequestHandler):
    """The page, and below /public/ what the library expects of a Grafana server: its icons and its font."""

    def translate_path(self, path: str) -> str:
        plain = path.split("?")[0]
        if plain.startswith("/public/build/"):
            return str(ICONS / Path(plain).relative_to("/public/build"))
        if plain.startswith("/public/fonts/"):
            return str(FONTS / Path(plain).with_suffix(".otf").name)
        return super().translate_path(path)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


async def _shoot(page: Page) -> bytes:
    """Return the whole board. Grids draw only what the window shows, so it first becomes as high as the board."""
    height = await page.evaluate("document.getElementById('board').scrollHeight")
    await page.set_viewport_size({"width": WIDTH, "height": height})
    await page.wait_for_timeout(500)
    return await page.screenshot(animations="disabled")


def _text(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location['url']})"


def _outcome(each: dict[str, Any]) -> Outcome:
    return Outcome(each["title"], each["type"], each["frames"], each["rows"], each.get("error"))


def load_board(path: Path) -> dict[str, Any]:
    """Return a committed board."""
    board: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return board
