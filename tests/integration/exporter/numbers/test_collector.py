"""Numbers of other services are read over HTTPS, and every wrong answer has its own words."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.integration.exporter.conftest import BUSY_SECONDS
from tests.integration.exporter.http.contracts import certificate

# The answer in Sentry's documentation, "Retrieve Event Counts for an Organization (v2)".
SENTRY: dict[str, Any] = {
    "start": "2022-02-14T19:00:00Z",
    "end": "2022-02-28T18:03:00Z",
    "intervals": ["2022-02-28T00:00:00Z"],
    "groups": [
        {
            "by": {"outcome": "accepted"},
            "totals": {"sum(quantity)": 165665},
            "series": {"sum(quantity)": [165665]},
        }
    ],
}
PLACE = "groups.0.totals.sum(quantity)"


@dataclass
class Service:
    """What the service answers."""

    url: str = ""
    ca_file: Path = Path()
    answer: Any = field(default_factory=lambda: SENTRY)
    tokens: list[str | None] = field(default_factory=list)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers.get("Authorization"))
        if callable(self.answer):
            response: web.StreamResponse = await self.answer(request)
            return response
        return web.json_response(self.answer)


@asynccontextmanager
async def serve(service: Service, folder: Path) -> AsyncIterator[Service]:
    context, service.ca_file, _ = certificate(folder)
    app = web.Application()
    app.router.add_get("/{path:.*}", service.respond)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    service.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield service
    finally:
        await runner.cleanup()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serve(Service(), tmp_path) as served:
        yield served


def inventory(service: Service, **settings: Any) -> str:
    target = {
        "url": f"{service.url}/api/0/organizations/shop/stats_v2/?project=1&secret=hunter2",
        "tls": {"ca_file": str(service.ca_file)},
        "values": {"errors_per_hour": PLACE},
        "refresh": "1s",
        **settings,
    }
    return yaml.safe_dump({"stacks": {"shop": {"numbers": {"sentry": target}}}})


async def test_number_of_sentry_is_read_with_a_token(start_exporter, service: Service, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2\n")
    exporter = await start_exporter(inventory(service, bearer_token_file=str(token)))
    page = await exporter.scrape_until(lambda page: page.value("number_up") == 1)
    assert page.value("number_value", stack="shop", target="sentry", number="errors_per_hour") == 165665
    assert set(service.tokens) == {"Bearer hunter2"}
    assert "hunter2" not in page.text


async def test_missing_place_counts_as_written(start_exporter, service: Service) -> None:
    service.answer = {**SENTRY, "groups": []}
    number = {"json": PLACE, "missing": 0}
    exporter = await start_exporter(inventory(service, values={"errors_per_hour": number}))
    page = await exporter.scrape_until(lambda page: page.value("number_up") == 1)
    assert page.value("number_value", number="errors_per_hour") == 0


async def test_number_that_cannot_be_read_any_more_is_down_and_stays(start_exporter, service: Service) -> None:
    exporter = await start_exporter(inventory(service))
    await exporter.scrape_until(lambda page: page.value("number_up") == 1)
    service.answer = {"groups": None}
    page = await exporter.scrape_until(lambda page: page.value("number_up") == 0)
    assert page.value("number_value", number="errors_per_hour") == 165665
    assert page.value("runbook_exporter_collector_success", collector="numbers") == 0


async def _hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)
        await asyncio.sleep(0.001)  # the server shares the loop with the exporter


def _raw(**settings: Any) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(**settings)

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"groups": []}, f"errors_per_hour: the JSON has no {PLACE}; correct it, or set missing"),
        ({"groups": [{"totals": {"sum(quantity)": "12"}}]}, f"{PLACE} of the JSON is text, not a number"),
        ({"groups": [{"totals": {"sum(quantity)": True}}]}, f"{PLACE} of the JSON is true or false, not a number"),
        ({"groups": [{"totals": {"sum(quantity)": None}}]}, f"{PLACE} of the JSON is null, not a number"),
        ({"groups": [{"totals": {"sum(quantity)": [1]}}]}, f"{PLACE} of the JSON is a list, not a number"),
        ({"groups": [{"totals": {"sum(quantity)": float("nan")}}]}, "too large, or not a finite number"),
        ({"groups": [{"totals": {"sum(quantity)": 10**400}}]}, "too large, or not a finite number"),
        (_raw(text="<html>hunter2</html>"), "the body is no JSON"),
        (_raw(text="[" * 100_000), "the body is no JSON"),
        (_raw(status=401, text='{"detail": "hunter2"}'), "status 401, not 200"),
        (_raw(status=302, headers={"Location": "/again"}), "it redirects without an end"),
        (_raw(body=gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"}), "larger than body_limit"),
        (_stream, "the body is larger than body_limit (1048576 bytes)"),
    ],
    ids=range(13),
)
async def test_answer_without_the_number_has_its_own_words(start_exporter, service: Service, answer, words) -> None:
    service.answer = answer
    exporter = await start_exporter(inventory(service))
    page = await exporter.scrape_until(lambda page: page.value("number_up") == 0)
    shown = await exporter.page_with(words)
    assert "number_value{" not in page.text
    assert "hunter2" not in shown + page.text


async def test_certificate_of_an_unknown_authority_is_named(start_exporter, service: Service) -> None:
    exporter = await start_exporter(inventory(service, tls={}))
    await exporter.page_with("the certificate is refused (unable to get local issuer certificate); renew or correct it")


async def test_service_that_hangs_delays_no_scrape(start_exporter, service: Service) -> None:
    service.answer = _hang
    page = await (await start_exporter(inventory(service))).scrape(allowed=1.5)
    assert page.seconds < 1.5 + BUSY_SECONDS
    assert page.value("number_up") == 0
