"""Failed sign-ins delay the next one; a known address is never locked out."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from remediator.console.sign_in.client import read_client
from remediator.ledger import retention
from runbookd.inventory.console import Console
from tests.unit.remediator.console.browser import PASSWORD, Browser, console

PROXY = {"console": {"trusted_proxies": ["127.0.0.1"]}}


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with console(tmp_path, inventory=PROXY) as browser:
        yield browser


def at(address: str) -> dict[str, Any]:
    return {"headers": {"X-Forwarded-For": address}}


async def fail(browser: Browser, times: int, address: str, name: str = "oncall") -> list[int]:
    return [(await browser.sign_in(name, "wrong", **at(address))).status for _ in range(times)]


async def test_fourth_attempt_waits_and_a_right_password_does_not_help(browser: Browser) -> None:
    assert await fail(browser, 4, "192.0.2.1") == [401, 401, 401, 429]
    answer = await browser.sign_in(**at("192.0.2.1"))
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    browser.clock.advance(seconds=1)
    assert (await browser.sign_in(**at("192.0.2.1"))).status == 303


async def test_delay_doubles_up_to_fifteen_minutes_and_is_forgotten_after_a_day(browser: Browser) -> None:
    waits = []
    for _ in range(13):
        if (await browser.sign_in(password="wrong", **at("192.0.2.1"))).status == 401:
            answer = await browser.sign_in(password="wrong", **at("192.0.2.1"))
            waits.append(int(answer.headers.get("Retry-After", 0)))
            browser.clock.advance(seconds=waits[-1])
    assert waits[-3:] == [512, 900, 900]
    browser.clock.advance(hours=25)
    assert await fail(browser, 1, "192.0.2.1") == [401]
    assert await fail(browser, 1, "192.0.2.1") == [401]


async def test_address_waits_after_ten_failures_with_any_names(browser: Browser) -> None:
    statuses = [(await fail(browser, 1, "192.0.2.1", f"name{number}"))[0] for number in range(11)]
    assert Counter(statuses) == {401: 10, 429: 1}
    assert await fail(browser, 1, "192.0.2.2") == [401], "another address does not wait"


async def test_neighbours_in_an_ipv6_network_count_as_one(browser: Browser) -> None:
    statuses = [(await fail(browser, 1, f"2001:db8::{number}", f"n{number}"))[0] for number in range(11)]
    assert statuses[-1] == 429
    assert await fail(browser, 1, "2001:db8:0:1::1") == [401]


async def test_attacker_at_other_addresses_does_not_delay_the_operator(browser: Browser) -> None:
    for number in range(5):
        await fail(browser, 4, f"192.0.2.{number}")
    assert (await browser.sign_in(**at("198.51.100.1"))).status == 303


async def test_known_address_is_never_locked_out(browser: Browser) -> None:
    await browser.sign_in("reader", **at("192.0.2.1"))
    browser.clock.advance(days=29)
    for number in range(30):
        await fail(browser, 1, "192.0.2.1", f"name{number}")
    for _ in range(30):
        await fail(browser, 1, "192.0.2.1")
        browser.clock.advance(seconds=5)
    assert (await browser.sign_in(**at("192.0.2.1"))).status == 303


async def test_address_is_known_for_thirty_days_even_after_the_cleanup(browser: Browser) -> None:
    await browser.sign_in("reader", **at("192.0.2.1"))
    browser.clock.advance(days=29, hours=23)
    await retention.delete_expired(browser.context.ledger, browser.clock.now())
    assert [(await fail(browser, 1, "192.0.2.1", f"n{number}"))[0] for number in range(11)][-1] == 401
    browser.clock.advance(days=2)
    await retention.delete_expired(browser.context.ledger, browser.clock.now())
    assert await browser.rows("SELECT count(*) FROM console_session") == [(0,)]
    assert await browser.rows("SELECT count(*) FROM sign_in_failure") == [(0,)]
    assert [(await fail(browser, 1, "192.0.2.1", f"m{number}"))[0] for number in range(11)][-1] == 429


async def test_operator_who_guesses_for_others_resets_no_count_of_the_address(browser: Browser) -> None:
    for number in range(9):
        await fail(browser, 1, "192.0.2.1", f"n{number}")
    rows = await browser.rows("SELECT failures FROM sign_in_failure WHERE name_hash = ''")
    await browser.sign_in("reader", **at("192.0.2.1"))
    assert await browser.rows("SELECT failures FROM sign_in_failure WHERE name_hash = ''") == rows == [(9,)]


async def test_guesses_in_parallel_gain_nothing(browser: Browser) -> None:
    answers = await asyncio.gather(*(browser.sign_in(password=f"{number}", **at("192.0.2.1")) for number in range(12)))
    assert Counter(answer.status for answer in answers)[401] <= 3


async def test_failures_and_known_addresses_survive_a_restart(tmp_path: Path) -> None:
    async with console(tmp_path, inventory=PROXY) as browser:
        await fail(browser, 3, "192.0.2.1")
    async with console(tmp_path, inventory=PROXY) as browser:
        assert await fail(browser, 1, "192.0.2.1") == [429]


async def test_clock_that_was_set_back_locks_nobody_out(browser: Browser) -> None:
    await fail(browser, 3, "192.0.2.1")
    browser.clock.advance(days=-100)
    assert (await browser.sign_in(**at("192.0.2.1"))).status == 429
    browser.clock.advance(seconds=1)
    assert (await browser.sign_in(**at("192.0.2.1"))).status == 303


async def test_name_that_is_no_operators_is_not_stored(browser: Browser, tmp_path: Path) -> None:
    await fail(browser, 1, "192.0.2.1", PASSWORD)
    content = b"".join((tmp_path / name).read_bytes() for name in ("ledger.db", "ledger.db-wal"))
    assert b"sign_in_failure" in content
    assert PASSWORD.encode() not in content


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ([], "10.0.0.1"),
        (["192.0.2.9"], "192.0.2.9"),
        (["6.6.6.6, 192.0.2.9"], "192.0.2.9"),
        (["6.6.6.6", "192.0.2.9, 10.0.0.2"], "192.0.2.9"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (["192.0.2.9:4711"], "192.0.2.9"),
        (["[2001:db8::1]:4711"], "2001:db8::/64"),
        (["::ffff:192.0.2.9"], "192.0.2.9"),
        (["6.6.6.6, unknown"], "10.0.0.1"),
        (["192.0.2.9, <script>"], "10.0.0.1"),
    ],
)
def test_address_is_the_last_one_that_no_trusted_proxy_has(forwarded: list[str], expected: str) -> None:
    settings = Console(trusted_proxies=("10.0.0.0/8",))
    assert read_client(_request("10.0.0.1", forwarded), settings).network == expected


def test_forwarded_address_of_an_untrusted_peer_is_ignored() -> None:
    client = read_client(_request("203.0.113.1", ["192.0.2.9"]), Console(trusted_proxies=("10.0.0.0/8",)))
    assert (client.network, client.is_proxied) == ("203.0.113.1", False)


def _request(peer: str, forwarded: list[str]) -> Any:
    headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])
    return make_mocked_request("GET", "/", headers=headers).clone(remote=peer)


async def test_guesser_who_waits_writes_nothing(browser: Browser) -> None:
    await fail(browser, 3, "192.0.2.1")
    async with browser.context.ledger.write():  # a writer would wait for this one
        async with asyncio.timeout(60):
            assert await fail(browser, 1, "192.0.2.1") == [429]


async def test_sign_in_is_refused_before_it_is_counted_while_checks_are_queued(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runbookd.service.password_checks.MAX_WAITING", 0)
    assert await fail(browser, 1, "192.0.2.1") == [503]
    assert await browser.rows("SELECT count(*) FROM sign_in_failure") == [(0,)]
