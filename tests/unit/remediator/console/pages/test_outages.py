"""A ledger that is out, an Alertmanager that does not answer, and alerts that no run answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.alertmanager import AlertmanagerReader
from remediator.model.errors import LedgerUnavailable
from runbookd.inventory import Secret, SecretStr
from tests.unit.remediator.console.pages.world import Seed, Visit, visit

LOCKED = "the ledger: database is locked"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/", "/stacks/shop", "/runs", "/runs/1", "/runs/1/why"])
async def test_ledger_that_is_out_names_the_pause_file(
    console: Visit, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    @asynccontextmanager
    async def out() -> AsyncIterator[Any]:
        raise LedgerUnavailable(LOCKED)
        yield

    monkeypatch.setattr(console.context.ledger, "read", out)
    words = await console.words(path, status=503)
    assert LOCKED in words
    assert str(console.pause_file) in words


async def test_ledger_that_fails_under_a_page_keeps_the_bar(console: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable(LOCKED)

    monkeypatch.setattr("remediator.console.pages.runs.list_runs", fail)
    words = await console.words("/runs", status=503)
    assert "The ledger is out" in words
    assert f"touch {console.pause_file}" in words


async def test_error_in_a_page_is_a_page_without_details(console: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret-detail")

    monkeypatch.setattr("remediator.console.pages.runs.list_runs", fail)
    words = await console.words("/runs", status=500)
    assert "internal error: ZeroDivisionError" in words
    assert "secret-detail" not in words


@asynccontextmanager
async def alertmanager(*alerts: dict[str, str], status: int = 200) -> AsyncIterator[AlertmanagerReader]:
    async def answer(_: web.Request) -> web.Response:
        body = [{"labels": labels, "startsAt": "2026-03-01T12:20:00Z"} for labels in alerts]
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/api/v2/alerts", answer)
    async with TestServer(app) as server:
        yield AlertmanagerReader(Secret("alertmanager.url", SecretStr(str(server.make_url("/"))), None))


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"priority": "P0"}, "No remediation repairs it: its rule has no label `remediation`."),
        ({"priority": "P2", "remediation": "collect_diagnostics"}, "this alert is left to Alertmanager"),
        ({"remediation": "clear_folder", "target": "new"}, "Alertmanager has not delivered it yet."),
    ],
)
async def test_alert_without_a_run_says_why_not(seeded: Seed, tmp_path: Path, labels: dict[str, str], why: str) -> None:
    alert = {"alertname": "CertificateExpires", "stack": "search", **labels}
    async with alertmanager(alert) as reader, visit(seeded, tmp_path, alertmanager=reader) as console:
        words = await console.words("/stacks/search")
        assert "CertificateExpires" in words
        assert why in words[words.index("CertificateExpires") :]
        assert "CertificateExpires" not in await console.words("/stacks/shop")


async def test_alert_of_an_open_episode_is_shown_once(seeded: Seed, tmp_path: Path) -> None:
    alert = {"alertname": "FolderFull", "stack": "search", "remediation": "clear_folder", "target": "main"}
    async with alertmanager(alert) as reader, visit(seeded, tmp_path, alertmanager=reader) as console:
        assert (await console.words("/stacks/search")).count("FolderFull") == 1


async def test_worst_alert_counts_those_without_a_run(seeded: Seed, tmp_path: Path) -> None:
    alert = {"alertname": "SiteDown", "stack": "search", "priority": "P0"}
    async with alertmanager(alert) as reader, visit(seeded, tmp_path, alertmanager=reader) as console:
        assert "P0 SiteDown" in await console.words("/")


async def test_alertmanager_that_does_not_answer_is_named(seeded: Seed, tmp_path: Path) -> None:
    async with alertmanager(status=500) as reader, visit(seeded, tmp_path, alertmanager=reader) as console:
        for path in ("/", "/stacks/shop"):
            assert "Only the alerts of the ledger are shown: cannot read Alertmanager" in await console.words(path)


@pytest.mark.parametrize("status", [200, 500, None])
async def test_stack_is_quiet_only_if_alertmanager_says_so(seeded: Seed, tmp_path: Path, status: int | None) -> None:
    async with (
        alertmanager(status=status or 200) as reader,
        visit(seeded, tmp_path, alertmanager=reader if status else None) as console,
    ):
        async with console.context.ledger.write() as connection:
            await connection.exec_driver_sql("UPDATE episode SET ended_at = opened_at")
        for path, quiet in (("/", "quiet: no alert fires"), ("/stacks/shop", "No alert fires.")):
            words = await console.words(path)
            assert (quiet in words) == (status == 200)
            assert ("o alert was delivered" in words) == (status != 200)


async def test_alert_is_shown_however_many_others_fire(seeded: Seed, tmp_path: Path) -> None:
    others = [{"alertname": f"Other{number}", "stack": "shop"} for number in range(250)]
    late = {"alertname": "SiteDown", "stack": "search", "priority": "P0"}
    async with alertmanager(*others, late) as reader, visit(seeded, tmp_path, alertmanager=reader) as console:
        assert "P0 SiteDown" in await console.words("/")
        assert "and 50 more alerts that no run answers" in await console.words("/stacks/shop")
