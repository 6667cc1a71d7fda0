"""Live updates in a real browser: calm, in words, and without losing what somebody types."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.integration.remediator.console.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_new_rows_wait_behind_a_button_and_known_ones_change_in_place(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open("/approvals")
    first = page.locator(f"[data-key=run-{run.id}]")
    await site.deliver(target="spare")
    await page.get_by_role("button", name="1 new").click()
    await expect(page.locator("[data-live=awaiting] .card")).to_have_count(2)
    await (await site.open(f"/approvals/{run.id}", "dba")).get_by_role("button", name="Reject").click()
    await expect(first).to_have_count(0)
    await expect(page.locator("nav .count")).to_have_text("1")


async def test_untouched_form_does_not_hold_a_change_back(site: Site) -> None:
    await site.ask("a")
    page = await site.open("/stacks/shop")  # each alert has a form to acknowledge it
    await expect(page.locator("#live")).to_have_text("Live")
    await site.deliver(target="spare")
    await expect(page.locator("main")).to_contain_text("shop/postgres/spare")
    await expect(page.locator("main .new")).to_have_count(0)


async def test_typed_reason_stays_while_the_page_changes(site: Site) -> None:
    run = await site.ask("a", "b")
    page = await site.open(f"/approvals/{run.id}")
    await expect(page.locator("#live")).to_have_text("Live")
    await page.get_by_label("Reason, if you reject it").fill("wait for")
    (site.files.folder / "b").unlink()
    await site.pause()
    await expect(page.locator("main")).to_contain_text("1 of 2 items are gone")
    await expect(page.locator("header")).to_contain_text("STOPPED")
    await expect(page.get_by_label("Reason, if you reject it")).to_have_value("wait for")


async def test_lost_stream_is_named_and_polling_takes_over(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open("/approvals", viewport={"width": 360, "height": 300})
    await page.clock.install()
    lost = True

    async def refuse(route: Route) -> None:
        await (route.fulfill(status=502) if lost else route.fallback())

    await page.route("**/events**", refuse)
    await page.reload()
    for _ in range(3):
        await page.wait_for_timeout(100)
        await page.clock.fast_forward(3_000)
    await expect(page.locator("#live")).to_have_text("Live updates lost, last refreshed")
    await expect(page.locator("#live")).to_be_in_viewport()
    await page.clock.fast_forward(2_000)
    await expect(page.locator("#live-ago")).to_contain_text("s ago")
    await (await site.open(f"/approvals/{run.id}", "dba")).get_by_role("button", name="Reject").click()
    await site.reaches("rejected")
    await page.clock.fast_forward(10_000)
    await expect(page.locator("main")).to_contain_text("No run awaits an approval")
    lost = False
    await page.clock.fast_forward(3_000)
    await expect(page.locator("#live")).to_have_text("Live")
    await expect(page.locator(".live.stale")).to_have_count(0)


async def test_end_of_the_session_ends_the_updates_in_words(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open(f"/approvals/{run.id}")
    await expect(page.locator("#live")).to_have_text("Live")
    other = await page.context.new_page()
    await other.goto(f"{site.url}/duties")
    await other.get_by_role("button", name="Sign out").click()
    await expect(page.locator("#live")).to_contain_text("You are signed out; what you have typed is still here.")
    await page.get_by_role("link", name="Sign in again").click()
    await expect(page).to_have_url(f"{site.url}/login?next=%2Fapprovals%2F{run.id}")


async def test_hidden_page_has_no_stream(site: Site) -> None:
    page = await site.open("/runs")
    await page.add_init_script(
        "const Real = EventSource; window.EventSource = function (u) {"
        " return (window.stream = new Real(u)); }; EventSource.CLOSED = 2;"
    )
    await page.reload()
    await expect(page.locator("#live")).to_have_text("Live")
    hide = "h => { Object.defineProperty(document, 'hidden', {value: h, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); return stream.readyState; }"
    assert await page.evaluate(hide, True) == 2
    assert await page.evaluate(hide, False) < 2


async def test_open_pages_do_not_delay_the_end_of_the_daemon(site: Site) -> None:
    for _ in range(3):
        await expect((await site.open("/")).locator("#live")).to_have_text("Live")
    async with asyncio.timeout(60):
        await site.stop()
