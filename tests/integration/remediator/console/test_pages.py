"""Every page in a real browser: on a phone, for screen readers, without JavaScript, and while the ledger is out."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from remediator.model.errors import LedgerUnavailable
from tests.integration.remediator.console.conftest import PHONE, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
FORM = "/start?remediation=clear_folder&target=shop/postgres/main"
PAGES = (
    *("/", "/stacks/shop", "/runs", "/runs?state=refused", "/runs/1", "/runs/2", "/approvals", "/approvals/2"),
    *("/start", FORM, "/report", "/report?since=1d&stack=shop", "/episodes/1", "/duties", "/audit", "/pause"),
)
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\u202egnitset\u202c"


async def with_history(site: Site) -> None:
    """Let one run be rejected, and another wait, both for hostile alerts."""
    first = await site.ask("a", HOSTILE.replace("/", "\u2215")[:120])
    page = await site.open(f"/approvals/{first.id}")
    await page.get_by_role("button", name="Reject").click()
    await site.reaches("rejected")
    await page.close()
    site.files.fill("b")
    await site.deliver(alertname=HOSTILE, summary=HOSTILE * 500)
    await site.reaches("awaiting_approval")


async def problems_of(page: Page, path: str, **options: object) -> list[str]:
    results = await Axe().run(page, options={**RULES, **options})
    return [
        f"{path}: {each['id']}: {[node['html'][:200] for node in each['nodes']]}"
        for each in results.response["violations"]
    ]


async def test_no_page_keeps_anyone_out_or_is_wider_than_a_phone(site: Site) -> None:
    await with_history(site)
    page, problems = await site.open("/", viewport=PHONE), []
    for path in (*PAGES, "/no/such/page"):
        await page.goto(site.url + path)
        await page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
        problems += await problems_of(page, path)
        width = await page.evaluate("document.documentElement.scrollWidth")
        problems += [f"{path} is {width} px wide"] * (width > PHONE["width"])
        cut = "all => all.filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent)"
        problems += [f"{path}: words cut: {each}" for each in await page.locator(".badge").evaluate_all(cut)]
        assert not await page.evaluate("window.hacked")
    assert problems == []


async def test_dark_pages_have_enough_contrast(site: Site) -> None:
    await with_history(site)
    page, problems = await site.open("/", viewport=PHONE, color_scheme="dark"), []
    for path in ("/", "/approvals/2", "/runs/1", "/report"):
        await page.goto(site.url + path)
        problems += await problems_of(page, path, runOnly={"type": "rule", "values": ["color-contrast"]})
    assert problems == []


async def test_sign_in_keeps_nobody_out(site: Site) -> None:
    page = await site.open("/login?next=/runs", viewport=PHONE)
    assert await problems_of(page, "/login") == []
    await page.get_by_label("Operator").fill("oncall")
    await page.get_by_label("Password").fill("wrong")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("Operator or password is wrong")
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


async def test_every_page_works_without_javascript(site: Site) -> None:
    await with_history(site)
    page = await site.open("/", viewport=PHONE, java_script_enabled=False)
    for path in PAGES:
        await page.goto(site.url + path)
        await expect(page.locator("h1")).to_be_visible()
        await expect(page.get_by_text("Stop…")).to_be_visible()
        assert await page.locator("button.copy").filter(visible=True).count() == 0


async def test_stop_takes_one_press_and_a_reason_and_release_takes_more(site: Site) -> None:
    run = await site.ask("a")
    page = await site.open("/duties", viewport=PHONE)
    await page.get_by_text("Stop…").click()
    await page.get_by_label("Why").fill("the import is running")
    await page.get_by_role("button", name="Stop now").click()
    await expect(page.locator("header")).to_contain_text("STOPPED: everything")
    await expect(page.locator("header")).to_contain_text("the import is running")
    await page.goto(f"{site.url}/approvals/{run.id}")
    await expect(page.locator("main")).to_contain_text("A yes would be refused now.")
    refusal = page.locator(".badge", has_text="refuses")
    assert await refusal.evaluate("each => each.scrollWidth <= each.clientWidth + 1"), "its words are cut"
    await page.goto(f"{site.url}/pause")
    await page.get_by_label("Why it may go on").fill("the import is done")
    await page.get_by_label("to confirm").fill("shop")
    await page.get_by_role("button", name="Release everything").click()
    await expect(page.locator("header")).to_contain_text("STOPPED: everything")
    await page.get_by_label("to confirm").fill("everything")
    await page.get_by_role("button", name="Release everything").click()
    await expect(page.locator("header")).to_contain_text("Not stopped")


async def test_duty_is_reported_with_a_note(site: Site) -> None:
    page = await site.open("/duties", viewport=PHONE)
    card = page.locator("[data-key='shop/restore_drill']")
    await card.get_by_text("Report it as done…").click()
    await card.get_by_label("Note").fill("restored in 12 minutes")
    await card.get_by_label("When, in UTC").fill("yesterday")
    await card.get_by_role("button", name="Done: restore drill of shop").click()
    await expect(card.get_by_role("alert")).to_contain_text("'yesterday' is no time")
    await expect(card.get_by_label("Note")).to_have_value("restored in 12 minutes")
    await card.get_by_label("When, in UTC").fill("2026-11-01 10:00")
    await card.get_by_role("button", name="Done: restore drill of shop").click()
    await expect(card).to_contain_text("by oncall: restored in 12 minutes")


async def test_trail_is_verified_and_knows_a_head_that_was_noted(site: Site) -> None:
    await with_history(site)
    page = await site.open("/audit")
    head = str(await page.locator("[data-live=proof] code.hash").first.text_content())
    await page.get_by_role("button", name="Verify the whole trail").click()
    await expect(page.locator("[data-live=proof]")).to_contain_text("The trail is intact")
    unknown = "0123" * 16
    for noted, words in (
        (head, "The trail contains"),
        (unknown, f"The trail does not contain {unknown}"),
        ("0123", "a head has 64 hexadecimal digits, not 4"),
    ):
        await page.get_by_label("Head", exact=True).fill(noted)
        await page.get_by_role("button", name="Look it up").click()
        await expect(page.locator("main")).to_contain_text(words)
    async with site.context.ledger.write() as connection:
        await connection.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE id = 2")
    await page.get_by_role("button", name="Verify the whole trail").click()
    await expect(page.locator("[data-live=proof]")).to_contain_text("The trail is broken at row 2")


async def test_each_page_names_the_pause_file_while_the_ledger_is_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await site.ask("a")
    page = await site.open(f"/approvals/{run.id}", java_script_enabled=False)

    def refuse() -> None:
        raise LedgerUnavailable("the ledger: disk I/O error")

    with monkeypatch.context() as out:
        for access in ("read", "write"):
            out.setattr(site.context.ledger, access, refuse)
        await page.get_by_role("button", name="Clear folder: 1 item").click()
        await expect(page.locator("main")).to_contain_text("The ledger is out")
        await expect(page.locator("main")).to_contain_text("disk I/O error")
        for path in (*PAGES, "/events"):
            await page.goto(site.url + path)
            await expect(page.locator("main")).to_contain_text(str(site.context.pause_file))
    assert await site.state() == "awaiting_approval"
    await page.goto(f"{site.url}/approvals/{run.id}")
    await page.get_by_role("button", name="Clear folder: 1 item").click()
    await site.reaches("succeeded")


async def test_keyboard_reaches_the_page_and_the_stop(site: Site) -> None:
    page = await site.open("/")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.locator("summary", has_text="Stop").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Why")).to_be_focused()
