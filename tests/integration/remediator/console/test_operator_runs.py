"""An operator's run on the pages: typed parameters, the plan, one yes, and its undo."""

from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from tests.integration.remediator.console.conftest import PHONE, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
FORM = "/start?remediation=clear_folder&target=shop/postgres/main"


async def question(site: Site, **options: object) -> Page:
    page = await site.open(FORM, **options)
    await page.get_by_role("button", name="Show the plan").click()
    return page


async def test_yes_runs_the_plan_that_was_shown(site: Site) -> None:
    site.files.fill("a", "b")
    page = await site.open("/start", viewport=PHONE)
    await page.get_by_role("link", name="shop/postgres/main").click()
    await page.get_by_label("suffix").fill("$(id)")
    await page.get_by_label("Reason").fill("the disk is full")
    await page.get_by_role("button", name="Show the plan").click()
    await expect(page.get_by_role("alert")).to_contain_text("the parameter suffix: must be 1 to 100 letters")
    await expect(page.get_by_label("suffix")).to_have_value("$(id)")
    await page.get_by_label("suffix").fill("log")
    await page.get_by_role("button", name="Show the plan").click()
    await expect(page.locator("main")).to_contain_text("A run writes the removed files again.")
    await expect(page.locator("main")).to_contain_text("bounds let it pass")
    site.files.fill("later")
    await page.get_by_role("button", name="Clear folder: 2 items on shop/main").click()
    await site.reaches("ineffective")  # the later file is not touched, and still there
    run = await site.last_run()
    assert site.files.touched == ["a", "b"]
    assert (run.requested_by, run.parameters) == ("oncall", {"suffix": "log"})
    assert run.evidence["requested"] == {"by": "oncall", "reason": "the disk is full"}


async def test_second_yes_starts_nothing(site: Site) -> None:
    site.files.fill("a")
    page = await question(site)
    fields = "form => Object.fromEntries(new FormData(form))"
    form = page.locator("form[action$=confirm]")
    await site.post(page, str(await form.get_attribute("action")), await form.evaluate(fields))
    await site.reaches("succeeded")
    await page.get_by_role("button", name="Clear folder: 1 item on shop/main").click()
    await expect(page.get_by_role("alert")).to_contain_text("was confirmed and became run 1; ask again")
    await expect(page.get_by_role("link", name="What run 1 is doing now")).to_be_visible()
    assert (await site.last_run()).id == 1


async def test_exact_undo_is_a_run_of_its_own(site: Site) -> None:
    site.files.fill("a", "b")
    page = await question(site, viewport=PHONE)
    await page.get_by_role("button", name="Clear folder: 2 items on shop/main").click()
    await site.reaches("succeeded")
    await page.reload()
    await page.get_by_role("button", name="Undo run 1: show the plan first").click()
    await page.get_by_role("button", name="Undo run 1: put back 2 items on shop/main").click()
    await expect(page).to_have_url(f"{site.url}/runs/2")
    await site.reaches("succeeded")
    assert site.files.names() == ["a", "b"]
    await page.goto(f"{site.url}/runs/1")
    await expect(page.get_by_role("button", name="Undo run 1")).to_have_count(0)


async def test_old_question_is_asked_again(site: Site) -> None:
    site.files.fill("a")
    page = await question(site)
    site.clock.shift = timedelta(minutes=11)
    await page.get_by_role("button", name="Clear folder: 1 item on shop/main").click()
    await expect(page.get_by_role("alert")).to_contain_text("has expired; ask again, and the plan is read again")
    assert site.files.touched == []


async def test_question_that_a_bound_refuses_has_no_button(site: Site) -> None:
    site.files.fill("a", "b", "c", "d", "e", "f")
    page = await question(site)
    await expect(page.get_by_role("status").first).to_contain_text("refused (max_items): found 6, max_items is 5")
    await expect(page.get_by_role("button", name="Clear folder")).to_have_count(0)


async def test_unknown_target_and_remediation_are_not_found(site: Site) -> None:
    for path in (FORM.replace("main", "other"), FORM.replace("clear_folder", "rm"), FORM.replace("shop", "../x")):
        page = await site.open(path)
        await expect(page.get_by_role("alert")).to_contain_text("choose from the list")
        await page.close()


async def test_target_that_does_not_answer_keeps_the_form(site: Site) -> None:
    site.files.reachable = False
    page = await site.open(FORM)
    await page.get_by_label("Reason").fill("why not")
    await page.get_by_role("button", name="Show the plan").click()
    await expect(page.get_by_role("alert")).to_contain_text("shop/postgres/main: no answer")
    await expect(page.get_by_label("Reason")).to_have_value("why not")
