"""Starts the fetched Chromium, for the tests of the console and for pictures.

Playwright only drives it: its own browsers are downloaded from elsewhere, this one is Debian's.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from tools.toolchain.paths import group_root, launcher

# Without them Chromium looks for updates and accounts, which a machine without a network reports as errors.
_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--force-color-profile=srgb",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a headless Chromium with its own fonts until the block ends.

    Raises SetupError if it was not fetched.
    """
    program = launcher("chromium", "browser")
    fonts = str(group_root("browser") / "fonts.conf")
    environment: dict[str, str | float | bool] = {**os.environ, "FONTCONFIG_FILE": fonts}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_FLAGS, env=environment)
        try:
            yield browser
        finally:
            await browser.close()
