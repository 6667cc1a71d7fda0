"""Approve and reject on a page: exactly what it shows, once, and everyone else is told."""

import pytest
from playwright.async_api import expect

from tests.integration.remediator.console.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_approval_runs_what_the_button_says(site: Site) -> None:
    run = await site.ask("a", "b", "c")
    page = await site.open("/approvals")
    await page.get_by_role("link", name="Clear folder: 3 items on shop/main", exact=True).click()
    await page.get_by_role("button", name="Clear folder: 3 items on shop/main").click()
    await expect(page).to_have_url(f"{site.url}/runs/{run.id}")
    await site.reaches("succeeded")
    assert site.files.touched == ["a", "b", "c"]
    await page.goto(f"{site.url}/approvals")
    await expect(page.locator("main")).to_contain_text("approved by oncall in the console after")
