"""The command against a real remediator on loopback, with a real ledger."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from runbookctl.client import RemediatorClient, RemediatorRefused, WrongUsage
from runbookctl.main import app
from runbookctl.starter_files import InitError
from runbookd.inventory import load_inventory
from tests.unit.runbookctl.conftest import Ctl


def test_an_empty_ledger_has_no_runs(ctl: Ctl) -> None:
    assert ctl("runs").strip() == "none"
    assert json.loads(ctl("runs", "--output", "json")) == {"runs": [], "next": None}


def test_pause_and_resume(ctl: Ctl) -> None:
    assert ctl("pause", "--reason", "deploy", "--for", "2h").strip() == "paused: everything"
    assert ctl("resume").strip() == "1 pauses ended"


def test_the_audit_trail_is_whole_and_holds_a_head_noted_earlier(ctl: Ctl) -> None:
    ctl("pause", "--reason", "deploy")
    head = ctl("audit", "verify").split()[-1]
    ctl("resume")
    assert "is whole" in ctl("audit", "verify", "--head", head)
    with pytest.raises(RemediatorRefused, match="does not contain"):
        ctl("audit", "verify", "--head", "f" * 64)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("run", "7"), "there is no run 7"),
        (("approve", "7"), "there is no run 7"),
        (("pause", "--reason", "x", "--for", "soon"), "'soon' is not a duration"),
        (("breaker", "close", "run_backup", "shop/backups/nightly"), "no breaker of run_backup"),
    ],
)
def test_a_refusal_is_the_remediators_own_words(ctl: Ctl, arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(RemediatorRefused, match=reason):
        ctl(*arguments)


@pytest.mark.parametrize(
    ("remediation", "target"),
    [
        ("retry_failed_jobs", "shop/queues/jobs/emails#eu"),
        ("retry_failed_jobs", "shop/queues/jobs/emails?eu"),
        ("retry_failed_jobs", "shop/queues/jobs/../emails"),
        ("retry_failed_jobs", "shop/queues/jobs/%62"),
        ("retry_failed_jobs", "shop/queues/jobs/e mails"),
        ("retry_failed_jobs", "shop/queues/jobs/a%2Fb+c&d=e"),
        ("..", "pause"),
        ("a/b", "c"),
    ],
)
def test_a_breaker_is_looked_for_under_exactly_the_name_that_was_given(ctl: Ctl, remediation: str, target: str) -> None:
    with pytest.raises(RemediatorRefused, match=f"^no breaker of {re.escape(f'{remediation} on {target}')} is open"):
        ctl("breaker", "close", remediation, target)


def test_an_address_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "oncall").write_text("x")
    arguments = ["--url", "http://[", "--token-file", str(tmp_path / "oncall"), "runs"]
    with pytest.raises(WrongUsage, match=r"'http://\[' is no address; write it like http://"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_without_a_token_it_asks_for_one() -> None:
    with pytest.raises(RemediatorRefused, match="--token-file"):
        CliRunner().invoke(app, ["runs"], catch_exceptions=False, env={"OPERATOR_TOKEN_FILE": ""})


def test_a_remediator_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "oncall").write_text("x")
    arguments = ["--url", "http://127.0.0.1:1", "--token-file", str(tmp_path / "oncall"), "runs"]
    with pytest.raises(RemediatorRefused, match=r"http://127\.0\.0\.1:1 does not answer"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_init_writes_an_inventory_that_is_valid(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["init", str(tmp_path / "new"), "--stack", "my_shop"], catch_exceptions=False)
    assert result.exit_code == 0
    inventory = load_inventory(tmp_path / "new" / "inventory.yml", {})
    assert inventory is not None
    assert list(inventory.stacks) == ["my_shop"]


@pytest.mark.parametrize(("stack", "reason"), [("My-Shop", "is no name"), ("shop", "is not empty")])
def test_init_overwrites_nothing(tmp_path: Path, stack: str, reason: str) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(InitError, match=reason):
        CliRunner().invoke(app, ["init", str(tmp_path), "--stack", stack], catch_exceptions=False)


async def _stranger(request: web.Request) -> web.Response:
    return web.Response(status=404 if "runs" in request.path else 200, text="<html>Welcome</html>")


@pytest.fixture
async def stranger() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", _stranger)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize(("path", "why"), [("/api/v1/runs", "its answer is no JSON"), ("/x", "its answer is no JSON")])
async def test_somebody_else_at_that_address_is_told_apart(stranger: str, tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "oncall").write_text("x")
    client = RemediatorClient(stranger, str(tmp_path / "oncall"))
    with pytest.raises(RemediatorRefused, match=f"^{re.escape(stranger)} is no remediator's API: {why}"):
        await asyncio.to_thread(client.get, path)


def test_runs_are_paged_and_the_hint_stays_out_of_a_pipe(ctl: Ctl, deliver: Callable[..., None]) -> None:
    for name in ("a", "b", "c"):
        deliver(stack=name, remediation="run_backup")
    deadline = time.monotonic() + 20
    while len(ctl("runs").splitlines()) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = ctl("runs", "--limit", "2").splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["id", "3", "2"]
    assert lines[3:] in ([], ["older ones: --before 2"])  # the runner may put both streams together
    assert [line.split()[0] for line in ctl("runs", "--before", "2").splitlines()] == ["id", "1"]


def test_what_still_pauses_after_a_resume_is_said(ctl: Ctl, tmp_path: Path) -> None:
    ctl("pause", "--reason", "deploy", "--for", "2h")
    (tmp_path / "pause").write_text("restoring")
    ctl("pause", "--reason", "looking", "--stack", "shop")
    lines = ctl("resume", "--stack", "shop").splitlines()
    assert lines[0] == "1 pauses ended"
    assert re.fullmatch(r"still paused: everything: deploy \(by oncall, until [-\d]+ [:\d]+ UTC\)", lines[1])
    assert lines[2] == f"still paused: everything: restoring (the file {tmp_path}/pause)"
    with pytest.raises(WrongUsage, match="no stack 'shopp'"):
        ctl("resume", "--stack", "shopp")


def test_status_tells_first_what_matters(ctl: Ctl, deliver: Callable[..., None]) -> None:
    assert ctl("status").splitlines() == [
        "it works",
        "nothing is paused",
        "open breakers: none",
        "runs that have not ended: none",
        "messages that nobody has taken yet: none",
    ]
    deliver(remediation="collect_diagnostics", target="anything")
    deadline = time.monotonic() + 20
    while "awaiting_approval" not in ctl("status") and time.monotonic() < deadline:
        time.sleep(0.05)
    ctl("pause", "--reason", "deploy")
    text = ctl("status")
    assert "paused: everything: deploy (by oncall)" in text
    assert "runs that have not ended: 1" in text
    assert set(json.loads(ctl("status", "--output", "json"))) == {
        "trouble",
        "pauses",
        "breakers",
        "runs",
        "messages_unsent",
        "audit_head",
    }
