"""The guard of the pages: forms of other sites, stale pages, roles, the listener, proxies, and a ledger that is out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from remediator.ledger import console_sessions
from runbookd.inventory import Inventory
from tests.unit.remediator.console.browser import Browser, console

PROXY = {"console": {"proxy_header": "X-Remote-User", "trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with console(tmp_path) as browser:
        yield browser


async def test_form_with_the_sessions_field_is_done(browser: Browser) -> None:
    await browser.sign_in()
    answer = await browser.post(form={"what": "a restart"})
    assert (answer.status, await answer.text()) == (200, "oncall did a restart")


@pytest.mark.parametrize("csrf", ["", "0" * 64, "é"])
async def test_form_without_the_sessions_field_does_nothing(browser: Browser, csrf: str) -> None:
    await browser.sign_in()
    answer = await browser.post(form={"csrf": csrf})
    assert (answer.status, "older than your session" in await answer.text()) == (403, True)


async def test_field_of_another_session_does_nothing(browser: Browser) -> None:
    await browser.sign_in("reader")
    stale = await browser.csrf()
    await browser.sign_in("oncall")
    assert (await browser.post(form={"csrf": stale})).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
    ],
)
async def test_form_of_another_site_does_nothing(browser: Browser, headers: Mapping[str, str]) -> None:
    await browser.sign_in()
    answer = await browser.post(headers=headers)
    assert (answer.status, "Another site" in await answer.text()) == (403, True)
    assert (await browser.sign_in(headers=headers)).status == 403


async def test_form_of_this_site_is_done(browser: Browser) -> None:
    await browser.sign_in()
    origin = str(browser.client.make_url("")).rstrip("/")
    assert (await browser.post(headers={"Origin": origin})).status == 200
    assert (await browser.post(headers={"Sec-Fetch-Site": "same-origin", "Origin": origin})).status == 200


async def test_viewer_reads_and_does_not_act(browser: Browser) -> None:
    await browser.sign_in("reader")
    answer = await browser.post()
    assert (answer.status, "reader has the role viewer" in await answer.text()) == (403, True)


async def test_form_without_a_session_gets_a_sentence_and_a_script_a_401(browser: Browser) -> None:
    answer = await browser.post()
    assert (answer.status, "You are signed out, so nothing was done." in await answer.text()) == (401, True)
    assert (await browser.get(headers={"Sec-Fetch-Mode": "cors"})).status == 401
    assert (await browser.get(headers={"Accept": "text/event-stream"})).status == 401
    assert (await browser.get(headers={"Sec-Fetch-Mode": "navigate"})).status == 303


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"csrf=" + b"a" * 100_000, FORM, 413),
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"--x\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
        (b"csrf=%ff%fe", FORM, 403),
        (b"csrf=a", {"Content-Type": "application/x-www-form-urlencoded; charset=none"}, 400),
        (b"a=" * 20_000, FORM, 403),
    ],
)
async def test_hostile_body_is_refused(browser: Browser, body: bytes, headers: Mapping[str, str], status: int) -> None:
    await browser.sign_in()
    answer = await browser.client.post("/probe", data=body, headers=headers)
    assert answer.status == status


async def test_chunked_body_over_the_limit_is_refused(browser: Browser) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"a" * 1_000

    await browser.sign_in()
    assert (await browser.client.post("/probe", data=chunks(), headers=FORM)).status == 413


async def test_form_that_does_not_arrive_is_refused(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.console.sign_in.form.READ_SECONDS", 0.1)

    async def endless() -> AsyncIterator[bytes]:
        yield b"operator=oncall&password="
        await asyncio.sleep(5)

    answer = await asyncio.wait_for(browser.client.post("/login", data=endless(), headers=FORM), 4)
    assert answer.status == 408


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "'; DROP TABLE console_session; --", "é" * 43, "a" * 10_000])
async def test_hostile_cookie_is_no_session(browser: Browser, cookie: str) -> None:
    answer = await browser.get(headers={"Cookie": f"runbookd_session={cookie}".encode().decode("latin-1")[:8_000]})
    assert answer.status in (303, 400)


async def test_session_that_ends_while_its_form_arrives_does_nothing(browser: Browser) -> None:
    """The form is read before the session is looked up, so that a slow body cannot outlive a sign-out."""
    await browser.sign_in()
    csrf, arriving = await browser.csrf(), asyncio.Event()

    async def slow_form() -> AsyncIterator[bytes]:
        yield f"csrf={csrf}&what=".encode()
        await arriving.wait()
        yield b"harm"

    posting = asyncio.create_task(browser.client.post("/probe", data=slow_form(), headers=FORM))
    await asyncio.sleep(0.05)
    async with browser.context.ledger.write() as connection:
        for session in await console_sessions.active(connection):
            await console_sessions.end(connection, session, browser.clock.now(), "oncall", "signed out")
    arriving.set()
    assert (await posting).status == 401


async def test_operator_removed_by_a_reload_is_out_at_once(browser: Browser) -> None:
    await browser.sign_in()
    async with browser.context.ledger.write():
        browser.context.use(Inventory.model_validate({}), None)
    assert (await browser.post()).status == 401


async def test_visitor_of_a_stream_is_current_until_the_sign_out(browser: Browser) -> None:
    await browser.sign_in()
    stream = await browser.get("/stream")
    assert await stream.content.readline() == b"current\n"
    assert await stream.content.readline() == b"current\n"
    await browser.post("/logout")
    rest = await stream.content.read()
    assert rest.endswith(b"over\n")


async def test_closed_console_says_how_to_open_it(tmp_path: Path) -> None:
    async with console(tmp_path, is_public=True) as browser:
        for answer in (await browser.get(), await browser.get("/login"), await browser.sign_in()):
            assert answer.status == 403
            text = await answer.text()
            assert "console.trusted_proxies" in text
            assert "plain_http" in text
        # A header of TLS from a peer that nobody trusts opens nothing.
        assert (await browser.get(headers={"X-Forwarded-Proto": "https"})).status == 403


@pytest.mark.parametrize("settings", [{"plain_http": True}, {"trusted_proxies": ["127.0.0.1"]}])
async def test_public_console_opens_on_request_or_behind_a_proxy(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with console(tmp_path, is_public=True, inventory={"console": settings}) as browser:
        assert (await browser.sign_in()).status == 303
        assert (await browser.get()).status == 200


async def test_cookie_behind_tls_has_the_host_prefix_and_is_secure(tmp_path: Path) -> None:
    async with console(tmp_path, inventory={"console": {"trusted_proxies": ["127.0.0.1"]}}) as browser:
        cookie = (await browser.sign_in(headers={"X-Forwarded-Proto": "https"})).headers["Set-Cookie"]
        assert cookie.startswith("__Host-runbookd=")
        assert "Secure" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie
        token = cookie.partition("=")[2].partition(";")[0]
        secure, plain = (f"{name}={token}" for name in ("__Host-runbookd", "runbookd_session"))
        https = {"X-Forwarded-Proto": "https"}
        assert (await browser.get(headers={"Cookie": secure, **https})).status == 200
        assert (await browser.get(headers={"Cookie": plain, **https})).status == 303


async def test_proxy_names_the_operator_and_forms_need_their_field(tmp_path: Path) -> None:
    async with console(tmp_path, inventory=PROXY) as browser:
        mia = {"X-Remote-User": "oncall"}
        assert "operator=oncall role=operator" in await (await browser.get(headers=mia)).text()
        csrf = await browser.csrf(headers=mia)
        assert (await browser.client.post("/probe", data={"csrf": csrf}, headers=mia)).status == 200
        assert (await browser.client.post("/probe", data={"csrf": "x"}, headers=mia)).status == 403
        other = {"X-Remote-User": "reader"}
        assert (await browser.client.post("/probe", data={"csrf": csrf}, headers=other)).status == 403
        assert (await browser.get("/login?next=/probe", headers=mia)).headers["Location"] == "/probe"


@pytest.mark.parametrize(
    "names", [[], ["oncall", "oncall"], ["oncall, reader"], ["nobody"], [""], ["ONCALL"], ["oncall\x80"]]
)
async def test_proxys_header_counts_only_once_and_with_an_operators_name(tmp_path: Path, names: list[str]) -> None:
    async with console(tmp_path, inventory=PROXY) as browser:
        headers = CIMultiDict([("X-Remote-User", name) for name in names])
        answer = await browser.get(headers=headers)
        assert (answer.status, "must send it once" in await answer.text()) == (403, True)


async def test_header_from_an_untrusted_peer_is_ignored(tmp_path: Path) -> None:
    settings = {"proxy_header": "X-Remote-User", "trusted_proxies": ["10.0.0.0/8"]}
    async with console(tmp_path, inventory={"console": settings}) as browser:
        assert (await browser.get(headers={"X-Remote-User": "oncall"})).status == 303
        assert (await browser.sign_in()).status == 303


async def test_ledger_that_is_out_names_the_pause_file(browser: Browser, tmp_path: Path) -> None:
    await browser.sign_in()
    csrf = await browser.csrf()
    (tmp_path / "ledger.db").rename(tmp_path / "elsewhere.db")
    for answer in (await browser.get(), await browser.sign_in(), await browser.post(form={"csrf": csrf})):
        text = await answer.text()
        assert (answer.status, str(tmp_path / "pause") in text) == (503, True)
        assert "Nothing was done." in text


async def test_open_stream_does_not_keep_a_session_from_ending_idle(browser: Browser) -> None:
    await browser.sign_in()
    stream = await browser.get("/stream")
    for _ in range(3):
        browser.clock.advance(hours=9)
        await stream.content.readline()
        await asyncio.sleep(0.1)
    async with asyncio.timeout(60):
        assert (await stream.content.read()).endswith(b"over\n")
