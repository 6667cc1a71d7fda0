"""A probe measures phases, redirects, sizes, protocols and certificates, under blackbox_exporter's names."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.exporter.http.contracts import Site, serve_contracts
from tests.integration.exporter.http.site import serve
from tests.integration.exporter.http.test_contracts import inventory, target_of


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serve_contracts(tmp_path) as served:
        yield served


async def test_phases_add_up_to_the_duration(start_exporter, site) -> None:
    page = await (await start_exporter(inventory(target_of(site, "/moved")))).scrape()
    phases = {
        phase: page.value("probe_http_duration_seconds", phase=phase)
        for phase in ("resolve", "connect", "tls", "processing", "transfer")
    }
    assert all(seconds >= 0 for seconds in phases.values())
    assert all(phases[phase] > 0 for phase in ("connect", "tls", "processing"))
    duration = page.value("probe_duration_seconds")
    assert 0 < sum(phases.values()) <= duration  # what is between the phases is the scheduler's
    assert page.value("probe_http_redirects") == 1


async def test_connection_and_body_are_described(start_exporter, site) -> None:
    page = await (await start_exporter(inventory(target_of(site, "/health")))).scrape()
    assert page.value("probe_http_ssl") == 1
    assert page.value("probe_http_version") == 1.1
    assert page.value("probe_ip_protocol") == 4
    assert page.value("probe_tls_version_info", version="TLS 1.3") == 1
    assert page.value("probe_http_content_length") == page.value("probe_http_uncompressed_body_length") > 0
    assert page.value("probe_ssl_earliest_cert_expiry") == site.expires_at.timestamp()


async def test_plain_http_has_no_certificate(start_exporter) -> None:
    from aiohttp import web

    async def page_of(_: web.Request) -> web.Response:
        return web.Response(text="fine")

    async with serve(page_of) as address:
        text = f"stacks: {{shop: {{http: {{api: {{url: '{address}/x'}}}}}}}}"
        page = await (await start_exporter(text)).scrape()
    assert page.value("probe_http_ssl") == 0
    assert page.value("probe_http_duration_seconds", phase="tls") == 0
    assert "probe_ssl_earliest_cert_expiry{" not in page.text


@pytest.mark.parametrize(
    ("server", "settings", "words"),
    [
        ({"valid_for": timedelta(days=-1)}, {}, "the certificate is refused (certificate has expired)"),
        ({"name": "other.example"}, {}, "the certificate is refused (IP address mismatch"),
        ({}, {"tls": {}}, "the certificate is refused (unable to get local issuer certificate)"),
        ({}, {"tls": {"ca_file": "/no/such/file"}}, "tls.ca_file: cannot read /no/such/file (No such file"),
    ],
)
async def test_certificate_that_is_refused_is_named(
    start_exporter, tmp_path: Path, server: dict[str, Any], settings: dict[str, Any], words: str
) -> None:
    async with serve_contracts(tmp_path, **server) as site:
        exporter = await start_exporter(inventory({**target_of(site, "/health"), **settings}))
        page = await exporter.scrape()
        shown = (await exporter.get("/metrics?debug=true"))[1]
    assert page.value("probe_success") == 0
    assert words in shown


async def test_end_of_an_expired_certificate_is_still_measured(start_exporter, tmp_path: Path) -> None:
    async with serve_contracts(tmp_path, valid_for=timedelta(days=-1)) as site:
        page = await (await start_exporter(inventory(target_of(site, "/health")))).scrape()
    assert page.value("probe_ssl_earliest_cert_expiry") == site.expires_at.timestamp()


async def test_certificate_may_be_for_another_name(start_exporter, tmp_path: Path) -> None:
    async with serve_contracts(tmp_path, name="api.example") as site:
        named = {"ca_file": str(site.ca_file), "server_name": "api.example"}
        page = await (await start_exporter(inventory(target_of(site, "/health", tls=named)))).scrape()
        assert page.value("probe_success") == 1
        anything = {"insecure_skip_verify": True}
        page = await (await start_exporter(inventory(target_of(site, "/health", tls=anything)))).scrape()
        assert page.value("probe_success") == 1


async def test_version_of_the_internet_protocol_can_be_chosen(start_exporter, site) -> None:
    page = await (await start_exporter(inventory(target_of(site, "/health", ip="4")))).scrape()
    assert page.value("probe_ip_protocol") == 4
    page = await (await start_exporter(inventory(target_of(site, "/health", ip="6")))).scrape()
    assert page.value("probe_success") == 0
