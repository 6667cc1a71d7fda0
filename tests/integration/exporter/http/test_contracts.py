"""The contracts of the runbooks' endpoints: readiness is a body and not a status, and each fault has its own words."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.clients.http_probe import probe
from runbookd.inventory import HttpTarget
from tests.integration.exporter.http.contracts import Site, serve_contracts

READY = {"json": {"status": "ready"}}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serve_contracts(tmp_path) as served:
        yield served


def target_of(site: Site, path: str, **settings: Any) -> dict[str, Any]:
    return {"url": site.url + path, "tls": {"ca_file": str(site.ca_file)}, **settings}


def inventory(target: dict[str, Any]) -> str:
    return yaml.safe_dump({"stacks": {"shop": {"http": {"api": target}}}})


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("/health", {}),  # ClientForge, PMCRM, Formula PM: a status alone
        ("/health", {"expect": {"json": {"status": ["ok", "healthy"]}}}),  # Life Platform
        ("/api/_health/live", {"expect": {"json": {"status": "live"}}}),  # DeelRx
        ("/api/_health/ready", {"expect": READY}),
        ("/api/_health/ready", {"expect": {"json": {"checks.0.ok": True, "/checks/0/name": "database"}}}),
        ("/api/_health/ready", {"expect": {"text": '"status":\\s*"ready"', "not_text": "error"}}),
        ("/api/version", {"version": "version"}),  # Life Platform
        ("/api/tasks", {"status": 401}),  # Life Platform: a login that is asked for is right
        ("/api/tasks", {"status": [200, 401]}),
        ("/gzip", {"expect": READY}),
        ("/moved", {"expect": {"json": {"status": "ok"}}}),
        ("/moved", {"status": 302}),
        ("/health", {"expect": {"headers": {"x-served-by": "^api-"}}}),
        ("/health", {"method": "HEAD"}),
    ],
)
async def test_endpoint_that_keeps_its_contract_is_good(start_exporter, site, path: str, settings: Any) -> None:
    target = target_of(site, path, **settings)
    exporter = await start_exporter(inventory(target))
    page = await exporter.scrape()
    assert page.value("probe_success") == 1, (await exporter.get("/"))[1]
    assert await probe(HttpTarget.model_validate(target)) is None


@pytest.mark.parametrize(
    ("path", "settings", "words"),
    [
        ("/not-ready", {"expect": READY}, "status 503, not 200"),
        ("/not-ready", {"status": [200, 503], "expect": READY}, 'status of the JSON is not "ready"'),
        ("/degraded", {"expect": READY}, 'status of the JSON is not "ready"'),
        ("/number", {"expect": READY}, "status of the JSON is a number, and the expected value is text"),
        ("/list", {"expect": READY}, "status of the JSON is a list, not a value"),
        ("/empty", {"expect": READY}, "the JSON has no status"),
        ("/cdn", {"expect": READY}, "the body is no JSON"),
        ("/deep", {"expect": READY}, "the body is no JSON"),
        ("/cdn", {"expect": {"text": "live"}}, "the body does not match expect.text"),
        ("/cdn", {"expect": {"not_text": "Bad Gateway"}}, "the body matches expect.not_text"),
        ("/health", {"expect": {"headers": {"x-served-by": "^web-"}}}, "the header x-served-by does not match"),
        ("/large", {"expect": READY}, "the body is larger than body_limit (1048576 bytes)"),
        ("/bomb", {"expect": READY}, "the body is larger than body_limit (1048576 bytes)"),
        ("/endless", {"expect": READY, "body_limit": "64KiB"}, "the body is larger than body_limit (65536 bytes)"),
        ("/brotli", {"expect": READY}, "the body is compressed with 'br', although the request allows none"),
        ("/torn", {"expect": READY}, "the compressed body is malformed"),
        ("/loop", {}, "it redirects without an end"),
    ],
)
async def test_broken_contract_has_its_own_words(start_exporter, site, path: str, settings: Any, words: str) -> None:
    target = target_of(site, path, **settings)
    exporter = await start_exporter(inventory(target))
    page = await exporter.scrape()
    shown = (await exporter.get("/metrics?debug=true"))[1]
    assert page.value("probe_success") == 0
    assert words in shown
    assert "hunter2" not in shown + page.text
    problem = await probe(HttpTarget.model_validate(target))
    assert problem is not None
    assert words in problem or path == "/loop"


async def test_faults_of_the_body_are_told_apart_from_each_other(start_exporter, site) -> None:
    wrong_text = target_of(site, "/degraded", expect={"text": "ready", "json": {"status": "degraded"}})
    page = await (await start_exporter(inventory(wrong_text))).scrape()
    assert (page.value("probe_failed_due_to_regex"), page.value("probe_failed_due_to_json")) == (1, 0)
    wrong_json = target_of(site, "/degraded", expect={"text": "degraded", **READY})
    page = await (await start_exporter(inventory(wrong_json))).scrape()
    assert (page.value("probe_failed_due_to_regex"), page.value("probe_failed_due_to_json")) == (0, 1)
    page = await (await start_exporter(inventory(target_of(site, "/health")))).scrape()
    assert "probe_failed_due_to_regex{" not in page.text


@pytest.mark.parametrize("path", ["version", "/version"])
async def test_version_of_the_body_is_an_info_metric(start_exporter, site, path: str) -> None:
    page = await (await start_exporter(inventory(target_of(site, "/api/version", version=path)))).scrape()
    assert page.value("probe_application_version_info", version="2.14.0") == 1


@pytest.mark.parametrize("path", ["missing", "version.major", "/0"])
async def test_version_that_is_not_there_costs_only_itself(start_exporter, site, path: str) -> None:
    page = await (await start_exporter(inventory(target_of(site, "/api/version", version=path)))).scrape()
    assert page.value("probe_success") == 1
    assert "probe_application_version_info{" not in page.text


async def test_request_carries_method_body_and_headers(start_exporter, site, tmp_path: Path) -> None:
    secret = tmp_path / "headers.yml"
    secret.write_text("X-Key: hunter2\n")
    settings = {"method": "POST", "body": "ping", "status": 201, "headers_file": str(secret)}
    target = target_of(site, "/echo", **settings, expect={"text": "^POST hunter2 ping$"})
    exporter = await start_exporter(inventory(target))
    page = await exporter.scrape()
    assert page.value("probe_success") == 1
    assert "hunter2" not in page.text + (await exporter.get("/metrics?debug=true"))[1]


@pytest.mark.parametrize("kind", ["bearer", "basic"])
@pytest.mark.parametrize(("token", "status"), [("right-token", 200), ("wrong-token", 401)])
async def test_credentials_come_from_files(start_exporter, site, tmp_path, kind: str, token: str, status: int) -> None:
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    basic = {"basic_auth": {"username": "probe", "password_file": str(file)}}
    settings = basic if kind == "basic" else {"bearer_token_file": str(file)}
    exporter = await start_exporter(inventory(target_of(site, "/api/tasks", **settings)))
    page = await exporter.scrape()
    assert page.value("probe_http_status_code") == status
    file.unlink()
    missing = await start_exporter(inventory(target_of(site, "/api/tasks", **settings)))
    assert (await missing.scrape()).value("probe_success") == 0
    assert "cannot read" in (await missing.get("/metrics?debug=true"))[1]
