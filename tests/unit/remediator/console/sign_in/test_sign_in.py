"""Signing in and out with a password: sessions, their cookie and their end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from remediator.console.sign_in.routes import safe_path
from runbookd.inventory import Inventory
from tests.unit.remediator.console.browser import PASSWORD, Browser, console, hash_of


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with console(tmp_path) as browser:
        yield browser


async def test_page_without_a_session_leads_to_the_sign_in_and_back(browser: Browser) -> None:
    answer = await browser.get("/probe?state=failed&stack=shop")
    assert (answer.status, answer.headers["Location"]) == (303, "/login?next=/probe%3Fstate%3Dfailed%26stack%3Dshop")
    page = await (await browser.get(answer.headers["Location"])).text()
    assert 'name="next" value="/probe?state=failed&amp;stack=shop"' in page


async def test_right_password_begins_a_session_that_the_trail_names(browser: Browser) -> None:
    answer = await browser.sign_in()
    assert (answer.status, answer.headers["Location"]) == (303, "/probe")
    assert "operator=oncall role=operator" in await (await browser.get()).text()
    assert await browser.rows("SELECT event, actor FROM audit") == [("signed_in", "oncall")]


async def test_cookie_on_plain_http_is_for_the_server_only_and_lax(browser: Browser) -> None:
    cookie = (await browser.sign_in()).headers["Set-Cookie"]
    assert cookie.startswith("runbookd_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


async def test_ledger_holds_neither_token_nor_password_nor_its_hash(browser: Browser, tmp_path: Path) -> None:
    token = (await browser.sign_in()).cookies["runbookd_session"].value
    content = b"".join((tmp_path / name).read_bytes() for name in ("ledger.db", "ledger.db-wal"))
    assert b"console_session" in content
    assert token.encode() not in content
    assert PASSWORD.encode() not in content
    assert (tmp_path / "oncall.password").read_bytes().strip() not in content


@pytest.mark.parametrize(
    ("name", "password"), [("oncall", "wrong"), ("nobody", PASSWORD), ("", ""), ("oncall", "x" * 100)]
)
async def test_wrong_name_or_password_is_refused_in_the_same_words(browser: Browser, name: str, password: str) -> None:
    answer = await browser.sign_in(name, password)
    assert (answer.status, "Operator or password is wrong." in await answer.text()) == (401, True)
    assert "Set-Cookie" not in answer.headers
    assert (await browser.get()).status == 303


async def test_sign_out_ends_the_session_in_every_copy_of_its_cookie(browser: Browser) -> None:
    token = (await browser.sign_in()).cookies["runbookd_session"].value
    assert (await browser.post("/logout")).headers["Location"] == "/login"
    answer = await browser.get(headers={"Cookie": f"runbookd_session={token}"})
    assert answer.status == 303
    assert await browser.rows("SELECT end_reason FROM console_session") == [("signed out",)]


async def test_sign_out_is_only_by_post(browser: Browser) -> None:
    await browser.sign_in()
    assert (await browser.get("/logout")).status == 405
    assert (await browser.get()).status == 200


@pytest.mark.parametrize("hours", [25, 24 * 8])
async def test_session_ends_when_it_is_idle_or_old(browser: Browser, hours: int) -> None:
    await browser.sign_in()
    for _ in range(hours // 20):
        browser.clock.advance(hours=20)
        await browser.get()
    browser.clock.advance(hours=hours % 20 + 20 if hours < 48 else 1)
    assert (await browser.get()).status == 303
    assert await browser.rows("SELECT end_reason FROM console_session") == [("it had expired",)]


async def test_changed_password_ends_the_sessions_at_once(browser: Browser, tmp_path: Path) -> None:
    await browser.sign_in()
    (tmp_path / "oncall.password").write_text(hash_of("another"))
    assert (await browser.get()).status == 303
    (tmp_path / "oncall.password").write_text("unreadable")
    assert (await browser.sign_in()).status == 401


async def test_operator_who_was_removed_or_lowered_has_no_session(browser: Browser, tmp_path: Path) -> None:
    await browser.sign_in()
    lowered = {"oncall": {"password_file": tmp_path / "oncall.password", "role": "viewer"}}
    changed = Inventory.model_validate({"operators": lowered})
    async with browser.context.ledger.write():
        browser.context.use(changed, None)
    assert (await browser.get()).status == 303
    assert await browser.rows("SELECT end_reason FROM console_session") == [("the role was taken away",)]


async def test_twenty_first_session_ends_the_one_used_longest_ago(browser: Browser) -> None:
    for _ in range(21):
        await browser.forget_cookies()
        await browser.sign_in()
        browser.clock.advance(seconds=1)
    ended = await browser.rows("SELECT id FROM console_session WHERE ended_at IS NOT NULL")
    assert ended == [(1,)]


async def test_second_sign_in_of_a_browser_replaces_its_session(browser: Browser) -> None:
    await browser.sign_in()
    await browser.sign_in("reader")
    assert "operator=reader role=viewer" in await (await browser.get()).text()
    assert await browser.rows("SELECT operator FROM console_session WHERE ended_at IS NULL") == [("reader",)]


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "\\/evil",
        "/a\nb",
        "/login",
        "evil",
        "/" + "a" * 2_000,
    ],
)
def test_sign_in_never_leads_away_from_the_console(path: str) -> None:
    assert safe_path(path) == "/"


def test_sign_in_leads_back_to_the_page_with_its_filters() -> None:
    assert safe_path("/runs?state=failed") == "/runs?state=failed"
