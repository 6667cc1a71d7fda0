"""Takes pictures of the console's pages in the fetched Chromium: in light and dark, and on a phone."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, Page

from tools.pictures.files import write_picture
from tools.toolchain.paths import ROOT

_FOLDER = "console"
_DESK, _PHONE = {"width": 1200, "height": 800}, {"width": 390, "height": 780}
_LOOKS: Mapping[str, Mapping[str, Any]] = {
    "": {"viewport": _DESK, "color_scheme": "light"},
    "-dark": {"viewport": _DESK, "color_scheme": "dark"},
    "-phone": {"viewport": _PHONE, "color_scheme": "light", "device_scale_factor": 2},
}
_MAX_HEIGHT = 1_600  # of a picture, in the pixels of the page


@dataclass
class Camera:
    """The browser, and the errors that its pages have reported. `password` is that of the operator oncall."""

    browser: Browser
    url: str
    password: str
    problems: list[str] = field(default_factory=list)

    async def take(self, name: str, path: str, press: str = "") -> None:
        """Take one page in each look, after the button `press`; the demo's own running state is not changed by it."""
        for suffix, options in _LOOKS.items():
            async with self._page(options, signed_in=path != "/login") as page:
                await page.goto(self.url + path)
                if press:
                    await page.get_by_role("button", name=press).click()
                await page.wait_for_load_state("load")
                await _settle(page)
                picture = await _shoot(page, options)
                print(
                    f"  {name}{suffix}: {write_picture(f'{name}{suffix}', picture, _FOLDER) / 1000:.0f} kB", flush=True
                )

    @asynccontextmanager
    async def _page(self, options: Mapping[str, Any], *, signed_in: bool) -> AsyncIterator[Page]:
        context = await self.browser.new_context(**options)
        try:
            if signed_in:
                form: dict[str, str | float | bool] = {"operator": "oncall", "password": self.password}
                headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
                await context.request.post(f"{self.url}/login", form=form, headers=headers)
            page = await context.new_page()
            page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
            yield page
        finally:
            await context.close()


async def _settle(page: Page) -> None:
    """Wait until the page is live, if it can be."""
    if await page.locator("#live").count():
        await page.locator("#live", has_text="Live").wait_for(timeout=10_000)


_HIDE = """path => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(path, "");
}"""


async def _shoot(page: Page, options: Mapping[str, Any]) -> bytes:
    await page.evaluate(_HIDE, f"{ROOT}/")  # where the checkout lies is no part of the picture
    height = min(await page.evaluate("document.documentElement.scrollHeight"), _MAX_HEIGHT)
    await page.set_viewport_size({"width": options["viewport"]["width"], "height": height})
    return await page.screenshot()
