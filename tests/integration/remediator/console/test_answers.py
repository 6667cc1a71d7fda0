"""Approve and reject on a page: exactly what it shows, once, and each other operator learns who was first."""

from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from tests.integration.remediator.console.conftest import PASSWORD, PHONE, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name).click()


async def test_approval_runs_what_the_button_says(site: Site) -> None:
    run = await site.ask("a", "b", "c")
    page = await site.open("/approvals", viewport=PHONE)
    await page.get_by_role("link", name="Clear folder: 3 items on shop/main", exact=True).click()
    await press(page, "Clear folder: 3 items on shop/main")
    await expect(page).to_have_url(f"{site.url}/runs/{run.id}")
    await site.reaches("succeeded")
    assert site.files.touched == ["a", "b", "c"]
    await page.goto(f"{site.url}/approvals")
    await expect(page.locator("main")).to_contain_text("No run awaits an approval")
    await expect(page.locator("main")).to_contain_text("approved by oncall in the console after")


async def test_rejection_keeps_its_reason_and_touches_nothing(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open(f"/approvals/{run.id}")
    await page.get_by_label("Reason, if you reject it").fill("the nightly import uses <b>these</b>")
    await press(page, "Reject: touch nothing")
    await site.reaches("rejected")
    assert site.files.touched == []
    await page.goto(f"{site.url}/approvals")
    await expect(page.get_by_text("Reason: the nightly import uses <b>these</b>")).to_be_visible()


async def test_plan_is_read_again_as_the_page_is_opened(site: Site) -> None:
    run = await site.ask("a", "b", "c")
    (site.files.folder / "b").unlink()
    page = await site.open(f"/approvals/{run.id}")
    await expect(page.locator("main")).to_contain_text("1 of 3 items are gone since this was planned")
    await expect(page.locator("li.gone")).to_contain_text("name=b")
    site.files.reachable = False
    await page.reload()
    await expect(page.locator("main")).to_contain_text("cannot be told now: shop/postgres/main: no answer")


async def test_second_of_two_operators_learns_who_was_first(site: Site) -> None:
    run = await site.ask("a")
    words, path = "Clear folder: 1 item on shop/main", f"/approvals/{run.id}"
    loser, winner = await site.open(path, "oncall", java_script_enabled=False), await site.open(path, "dba")
    await press(winner, words)
    await site.reaches("succeeded")
    await press(loser, words)
    await expect(loser.get_by_role("alert")).to_contain_text(f"run {run.id} was already approved by dba")
    await loser.get_by_role("link", name=f"What run {run.id} is doing now").click()
    await expect(loser).to_have_url(f"{site.url}/runs/{run.id}")
    assert site.files.touched == ["a"]


async def test_reason_of_a_late_rejection_is_not_lost(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open(f"/approvals/{run.id}", java_script_enabled=False)
    await press(await site.open(f"/approvals/{run.id}", "dba"), "Reject: touch nothing")
    await site.reaches("rejected")
    await page.get_by_label("Reason, if you reject it").fill("wait for the import")
    await press(page, "Reject: touch nothing")
    await expect(page.get_by_role("alert")).to_contain_text(f"run {run.id} was already rejected by dba")
    await expect(page.locator("main")).to_contain_text("wait for the import")


async def test_expired_plan_is_not_run(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open(f"/approvals/{run.id}", java_script_enabled=False)
    site.clock.shift = timedelta(hours=4, seconds=1)
    await press(page, "Clear folder: 1 item on shop/main")
    await expect(page.get_by_role("alert")).to_contain_text("has expired; the next delivery of its alert makes a new")
    assert site.files.touched == []


async def test_viewer_sees_the_plan_and_who_may_answer(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open(f"/approvals/{run.id}", "guest")
    button = page.get_by_role("button", name="Clear folder: 1 item on shop/main (needs operator)")
    await expect(button).to_be_disabled()


async def test_signed_out_operator_loses_nothing(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open(f"/approvals/{run.id}", java_script_enabled=False)
    await page.get_by_label("Reason, if you reject it").fill("wait for the import")
    await page.context.clear_cookies()
    await press(page, "Reject: touch nothing")
    await expect(page.locator("main")).to_contain_text("You are signed out, so nothing was done")
    await expect(page.locator("main")).to_contain_text("You had written: wait for the import")
    await page.get_by_role("link", name="Sign in again").click()
    await page.get_by_label("Operator").fill("oncall")
    await page.get_by_label("Password").fill(PASSWORD)
    await press(page, "Sign in")
    await expect(page).to_have_url(f"{site.url}/approvals/{run.id}")
    assert await site.state() == "awaiting_approval"


async def test_page_of_an_earlier_session_acts_no_more(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open(f"/approvals/{run.id}", java_script_enabled=False)
    await site.sign_in(page.context, "dba")
    await press(page, "Clear folder: 1 item on shop/main")
    await expect(page.locator("main")).to_contain_text("This page is older than your session, so nothing was done")
    assert await site.state() == "awaiting_approval"


async def test_run_that_waits_leads_to_its_request(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open(f"/runs/{run.id}", viewport=PHONE)
    await page.get_by_role("link", name="Review and answer").click()
    await expect(page).to_have_url(f"{site.url}/approvals/{run.id}")


async def test_operator_who_has_it_is_named_and_the_second_one_is_told(site: Site) -> None:
    await site.ask("a")
    second = await site.open("/stacks/shop", "dba", java_script_enabled=False)
    page = await site.open("/stacks/shop", viewport=PHONE)
    await page.get_by_text("I have it…").click()
    await page.get_by_label("Note").fill("looking at the import")
    await page.get_by_label("For").last.select_option("30 minutes")
    await press(page, "Acknowledge: I have it")
    await expect(page.locator("main")).to_contain_text("oncall has it since")
    await expect(page.locator("main")).to_contain_text("looking at the import")
    await second.get_by_text("I have it…").click()
    await second.get_by_label("Note").fill("me too")
    await press(second, "Acknowledge: I have it")
    await expect(second.get_by_role("alert")).to_contain_text("was acknowledged by oncall")
    await expect(second.locator("main")).to_contain_text("me too")
    run = await site.open("/runs/1")
    await expect(run.locator("main")).to_contain_text("oncall has it since")
