"""Requests of the inventory to a real server, also to bad ones."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.commands.conftest import EntryOf

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Platform:
    """A server with a switch at /gate. `seen` lists each request: method, raw path, headers and body."""

    url: str = ""
    enabled: bool = True
    answer: Answer | None = None
    seen: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.seen.append((request.method, request.raw_path, dict(request.headers), body))
        if request.method == "GET" and request.path == "/gate":
            return web.json_response({"enabled": self.enabled, "by": "oncall"})
        if self.answer is not None:
            return await self.answer(request)
        self.enabled = body == '{"enabled": true}'
        return web.json_response({"token": "t0p", "mail": "ann@shop.example"})

    def gate(self, **settings: Any) -> dict[str, Any]:
        """Return an entry that turns the switch off."""
        return {
            "method": "PUT",
            "url": f"{self.url}/gate",
            "json": {"enabled": False},
            "check": {"url": f"{self.url}/gate", "has": {"enabled": False}},
            "undo": {"method": "PUT", "url": f"{self.url}/gate", "json": {"enabled": True}},
            "timeout": "1s",
            **settings,
        }


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    platform = Platform()
    async with serving(platform) as url:
        platform.url = url
        yield platform


class serving:
    """Serve a platform on a free port, with TLS if `tls` is given."""

    def __init__(self, platform: Platform, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application(client_max_size=2**20)
        app.router.add_route("*", "/{path:.*}", platform.handle)
        self._runner, self._tls = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True), tls

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def test_request_is_made_and_proven_by_its_check(platform: Platform, entry_of: EntryOf) -> None:
    entry = entry_of(platform.gate())
    plan = await entry.plan()
    assert plan.items[0].evidence["request"] == f"PUT {platform.url}/gate"
    assert plan.items[0].evidence["json"] == '{"enabled": false}'
    assert plan.items[0].evidence["undo"] == f"PUT {platform.url}/gate"
    outcome = await entry.apply(plan.items)
    assert (outcome.state, outcome.detail) == (ItemState.APPLIED, "answered 200")
    assert (await entry.verify(plan.items)).clean
    assert (await entry.plan()).items == ()


async def test_undo_restores_what_was_there_before(platform: Platform, entry_of: EntryOf) -> None:
    items = (await entry_of(platform.gate()).plan()).items
    await entry_of(platform.gate()).apply(items)
    undo = entry_of(platform.gate()).undoing(*items)
    undo_items = (await undo.plan()).items
    assert (await undo.apply(undo_items)).state is ItemState.APPLIED
    assert platform.enabled
    assert (await undo.verify(undo_items)).clean


@pytest.mark.parametrize("change", [{"url": "/gate2"}, {"json": {"enabled": None}}, {"method": "POST"}])
async def test_request_that_changed_since_the_plan_is_skipped(platform, change: Any, entry_of: EntryOf) -> None:
    items = (await entry_of(platform.gate()).plan()).items
    if "url" in change:
        change = {"url": f"{platform.url}{change['url']}"}
    assert (await entry_of(platform.gate(**change)).apply(items)).state is ItemState.SKIPPED
    assert platform.enabled


async def test_headers_are_sent_and_never_shown(platform: Platform, tmp_path: Path, entry_of: EntryOf) -> None:
    file = tmp_path / "headers.yml"
    file.write_text("Authorization: Bearer s3cret-token\n")

    async def echo(request: web.Request) -> web.Response:
        return web.Response(status=422, text=f"not with {request.headers['Authorization']} for ann@shop.example")

    platform.answer = echo
    entry = entry_of(platform.gate(headers={"X-Team": "payments"}, headers_file=str(file), keep_body=True, check=None))
    plan = await entry.plan()
    outcome = await entry.apply(plan.items)
    assert outcome.state is ItemState.FAILED
    assert "s3cret" not in f"{plan} {outcome} {entry.scope.stack!r}"
    assert outcome.detail == "answered 422:\nnot with *** for <email>"
    assert platform.seen[-1][2]["Authorization"] == "Bearer s3cret-token"
    assert platform.seen[-1][2]["X-Team"] == "payments"
    file.write_text("not a map")
    with pytest.raises(TargetUnreachable, match=r"headers_file: .* must be a map"):
        await entry.plan()


async def test_only_the_status_is_kept(platform: Platform, entry_of: EntryOf) -> None:
    assert (await entry_of(platform.gate()).do()).detail == "answered 200"


async def test_values_are_encoded_at_their_place(platform: Platform, entry_of: EntryOf) -> None:
    settings = {
        "method": "POST",
        "url": f"{platform.url}/v1/{{who}}/limits/x{{limit}}",
        "query": {"for": "{stack}-{who}", "fixed": "a&b=c"},
        "json": {"max": "{limit}", "text": "at {limit}", "list": ["{who}", 1, True, None]},
        "parameters": {"who": {"type": "name"}, "limit": {"type": "int"}},
    }
    await entry_of(settings).started_with(who="a@b:c.d", limit=-5).do()
    [(method, path, headers, body)] = platform.seen
    assert (method, path) == ("POST", "/v1/a%40b%3Ac.d/limits/x-5?for=shop-a%40b%3Ac.d&fixed=a%26b%3Dc")
    assert body == '{"max": -5, "text": "at -5", "list": ["a@b:c.d", 1, true, null]}'
    assert headers["User-Agent"] == "runbookd"


async def test_proxy_of_the_environment_is_not_used(platform, entry_of: EntryOf, monkeypatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await entry_of(platform.gate(check=None)).do()).state is ItemState.APPLIED


async def redirecting(request: web.Request) -> web.Response:
    raise web.HTTPTemporaryRedirect(f"http://{request.host}/elsewhere")


async def failing(_: web.Request) -> web.Response:
    return web.Response(status=502)


async def hanging(_: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


async def closing(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def with_huge_headers(_: web.Request) -> web.Response:
    return web.Response(headers={"X-Long": "x" * 100_000})


async def streaming(request: web.Request) -> web.StreamResponse:
    """Promise a gigabyte, and send as much as is read."""
    response = web.StreamResponse(headers={"Content-Length": str(2**30)})
    await response.prepare(request)
    with suppress(ConnectionError):
        for _ in range(2**14):
            await response.write(b"filler\n" * 9_000)
    return response


async def dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1_000):
        await response.write(b"x")
        await asyncio.sleep(0.05)
    return response


@pytest.mark.parametrize(
    ("answer", "state", "detail"),
    [
        (redirecting, ItemState.FAILED, "answered 307 (redirects are not followed)"),
        (failing, ItemState.UNKNOWN, "answered 502"),
        (hanging, ItemState.UNKNOWN, "was sent: no answer within 1 s"),
        (closing, ItemState.UNKNOWN, "was sent: the connection ended without an answer"),
        (with_huge_headers, ItemState.UNKNOWN, "was sent: the connection ended without an answer"),
        (streaming, ItemState.APPLIED, "answered 200"),
        (dripping, ItemState.APPLIED, "answered 200"),
    ],
)
@pytest.mark.parametrize("keep_body", [False, True])
async def test_bad_server_has_a_clear_outcome_in_time(
    platform: Platform, answer: Answer, state: ItemState, detail: str, keep_body: bool, entry_of: EntryOf
) -> None:
    platform.answer = answer
    start = time.monotonic()
    outcome = await entry_of(platform.gate(check=None, keep_body=keep_body)).do()
    assert outcome.state is state
    assert outcome.detail.startswith(detail)
    assert len(outcome.detail) < 17_000
    assert time.monotonic() - start < 20
    assert not any(path.endswith("/elsewhere") for _, path, _, _ in platform.seen)


@pytest.mark.parametrize(("works", "state"), [(True, ItemState.APPLIED), (False, ItemState.FAILED)])
async def test_check_decides_after_an_unclear_answer(
    platform: Platform, works: bool, state: ItemState, entry_of: EntryOf
) -> None:
    async def fail_late(_: web.Request) -> web.Response:
        platform.enabled = not works
        return web.Response(status=504)

    platform.answer = fail_late
    assert (await entry_of(platform.gate()).do()).state is state


async def test_check_tells_the_outcome_after_a_crash(platform: Platform, entry_of: EntryOf) -> None:
    items = (await entry_of(platform.gate()).plan()).items
    assert (await entry_of(platform.gate()).look_up(items)).state is ItemState.NOT_APPLIED
    platform.enabled = False
    assert (await entry_of(platform.gate()).look_up(items)).state is ItemState.APPLIED
    assert (await entry_of(platform.gate(check=None)).look_up(items)).state is ItemState.UNKNOWN


@pytest.mark.parametrize(
    ("has", "clean"),
    [
        ({"enabled": True}, True),
        ({"enabled": 1}, False),
        ({"by": "oncall"}, True),
        ({"missing": None}, False),
        ({}, True),
    ],
)
async def test_check_compares_values_and_their_types(platform, has: Any, clean: bool, entry_of: EntryOf) -> None:
    entry = entry_of(platform.gate(check={"url": f"{platform.url}/gate", "has": has}))
    assert (await entry.plan()).items == () if clean else (await entry.plan()).items != ()


@pytest.mark.parametrize("answer", [redirecting, failing, hanging, closing, streaming])
async def test_check_that_cannot_tell_stops_before_anything_is_sent(
    platform: Platform, answer: Answer, entry_of: EntryOf
) -> None:
    platform.answer = answer
    check = {"url": f"{platform.url}/state", "has": {"on": True}}
    with pytest.raises(TargetUnreachable, match="shop/commands/flag: its check cannot tell: "):
        await entry_of(platform.gate(check=check)).plan()
    assert {method for method, *_ in platform.seen} == {"GET"}


@pytest.mark.parametrize("host", ["no-such-host.invalid", "127.0.0.1:9"])
async def test_server_that_cannot_be_reached_has_got_nothing(host: str, entry_of: EntryOf) -> None:
    outcome = await entry_of({"method": "POST", "url": f"http://{host}/x"}).do()
    assert outcome.state is ItemState.FAILED
    assert outcome.detail.startswith("was not sent: ")


async def test_certificate_must_be_valid(tmp_path: Path, entry_of: EntryOf) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    platform = Platform()
    async with serving(platform, tls) as url:
        outcome = await entry_of({"method": "POST", "url": f"{url}/x"}).do()
    assert outcome.state is ItemState.FAILED
    assert outcome.detail.startswith("was not sent: its certificate is not valid: ")
    assert platform.seen == []


async def test_server_without_tls_has_got_nothing(platform: Platform, entry_of: EntryOf) -> None:
    outcome = await entry_of({"method": "POST", "url": platform.url.replace("http:", "https:") + "/x"}).do()
    assert (outcome.state, outcome.detail[:29]) == (ItemState.FAILED, "was not sent: no TLS connecti")


async def test_hostile_value_is_refused_before_anything_is_sent(platform: Platform, entry_of: EntryOf) -> None:
    settings = {"method": "GET", "url": f"{platform.url}/{{who}}", "parameters": {"who": {"type": "name"}}}
    for value in ("../admin", "..", "a/b", "a?b", "a#b", "@evil", "a\x00", "a\r\nX: y", "x" * 1_000_000):
        with pytest.raises(TargetUnknown):
            await entry_of(settings).started_with(who=value).plan()
    assert platform.seen == []
