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
from runbookctl.errors import InitError
from runbookctl.main import COMMANDS, app
from runbookctl.options import console
from runbookctl.printing import answers
from runbookd.inventory import load_inventory
from tests.unit.runbookctl.conftest import Ctl


def test_empty_ledger_lists_no_runs(ctl: Ctl) -> None:
    assert ctl("runs").strip() == "none"
    assert json.loads(ctl("runs", "--output", "json")) == {"runs": [], "next": None}


@pytest.mark.parametrize("command", ["runs", "episodes", "recurring", "duties", "windows", "report"])
def test_misspelt_stack_is_named_and_does_not_look_like_a_quiet_one(ctl: Ctl, command: str) -> None:
    with pytest.raises(RemediatorRefused, match="the inventory has no stack 'shp'; did you mean 'shop'"):
        ctl(command, "--stack", "shp")


def test_resume_ends_a_pause(ctl: Ctl) -> None:
    assert ctl("pause", "--reason", "deploy", "--for", "2h").strip() == "paused: everything"
    assert ctl("resume").strip() == "pauses ended: 1"


def test_audit_trail_contains_a_head_noted_earlier(ctl: Ctl) -> None:
    ctl("pause", "--reason", "deploy")
    head = ctl("audit", "verify").split()[-1]
    ctl("resume")
    assert "is intact" in ctl("audit", "verify", "--head", head)
    with pytest.raises(RemediatorRefused, match="does not contain"):
        ctl("audit", "verify", "--head", "f" * 64)
    with pytest.raises(WrongUsage, match="a head has 64 hexadecimal digits, not 16"):
        ctl("audit", "verify", "--head", head[:16])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("run", "7"), "there is no run 7"),
        (("approve", "7"), "there is no run 7"),
        (("pause", "--reason", "x", "--for", "soon"), "'soon' is not a duration"),
        (("breaker", "close", "run_backup", "shop/backups/nightly"), "no breaker of run_backup"),
    ],
)
def test_refusal_prints_the_remediators_error(ctl: Ctl, arguments: tuple[str, ...], reason: str) -> None:
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
def test_breaker_name_reaches_the_remediator_unchanged(ctl: Ctl, remediation: str, target: str) -> None:
    with pytest.raises(RemediatorRefused, match=f"^no breaker of {re.escape(f'{remediation} on {target}')} is open"):
        ctl("breaker", "close", remediation, target)


def test_invalid_url_is_reported_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "oncall").write_text("x")
    arguments = ["--url", "http://[", "--token-file", str(tmp_path / "oncall"), "runs"]
    with pytest.raises(WrongUsage, match=r"^--url: not an address; write it like http://"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_missing_token_names_its_option() -> None:
    with pytest.raises(RemediatorRefused, match="--token-file"):
        CliRunner().invoke(app, ["runs"], catch_exceptions=False, env={"OPERATOR_TOKEN_FILE": ""})


def test_unreachable_remediator_is_named(tmp_path: Path) -> None:
    (tmp_path / "oncall").write_text("x")
    arguments = ["--url", "http://127.0.0.1:1", "--token-file", str(tmp_path / "oncall"), "runs"]
    with pytest.raises(RemediatorRefused) as refused:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert str(refused.value) == (
        "http://127.0.0.1:1 does not answer: the connection is refused; check --url (REMEDIATOR_URL),"
        " and that the remediator runs there"
    )


def test_help_groups_every_command_and_says_where_to_start() -> None:
    page = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).output
    assert "New here? `runbookctl init" in page
    assert "─ Commands ─" not in page
    assert [group for group in COMMANDS if f"─ {group} ─" not in page] == []


def test_init_writes_a_valid_inventory(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["init", str(tmp_path / "new"), "--stack", "my_shop"], catch_exceptions=False)
    assert result.exit_code == 0
    inventory = load_inventory(tmp_path / "new" / "inventory.yml", {})
    assert inventory is not None
    assert list(inventory.stacks) == ["my_shop"]


@pytest.mark.parametrize(("stack", "reason"), [("My-Shop", "is not a valid name"), ("shop", "is not empty")])
def test_init_refuses_an_invalid_name_and_a_full_folder(tmp_path: Path, stack: str, reason: str) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(InitError, match=reason):
        CliRunner().invoke(app, ["init", str(tmp_path), "--stack", stack], catch_exceptions=False)


async def _other_server_page(request: web.Request) -> web.Response:
    return web.Response(status=404 if "runs" in request.path else 200, text="<html>Welcome</html>")


@pytest.fixture
async def other_server() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", _other_server_page)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize(
    ("path", "why"), [("/api/v1/runs", "its answer is not JSON"), ("/x", "its answer is not JSON")]
)
async def test_other_server_at_the_address_is_recognized(
    other_server: str, tmp_path: Path, path: str, why: str
) -> None:
    (tmp_path / "oncall").write_text("x")
    client = RemediatorClient(other_server, str(tmp_path / "oncall"))
    with pytest.raises(RemediatorRefused, match=f"^{re.escape(other_server)} is not a remediator's API: {why}"):
        await asyncio.to_thread(client.get, path)


async def test_answer_without_an_expected_key_is_another_services_or_of_another_release(tmp_path: Path) -> None:
    """Alertmanager answers the path of `status` as well."""

    async def another_status(_: web.Request) -> web.Response:
        return web.json_response({"cluster": {"status": "ready"}})

    (tmp_path / "oncall").write_text("x")
    app_of_another = web.Application()
    app_of_another.router.add_get("/api/v1/status", another_status)
    async with TestServer(app_of_another) as server:
        client = RemediatorClient(str(server.make_url("")), str(tmp_path / "oncall"))
        answer = await asyncio.to_thread(client.get, "/api/v1/status")
    assert answer["cluster"]["status"] == "ready"
    with pytest.raises(RemediatorRefused, match="no 'trouble', so it is not that of a remediator of this release"):
        answers.status(console, answer)


def test_runs_are_paged_and_the_hint_goes_to_stderr(ctl: Ctl, deliver: Callable[..., None]) -> None:
    for name in ("a", "b", "c"):
        deliver(stack=name, remediation="run_backup")
    deadline = time.monotonic() + 60
    while len(ctl("runs").splitlines()) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = ctl("runs", "--limit", "2").splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["id", "3", "2"]
    assert lines[3:] in ([], ["older runs: --before 2"])  # the runner may put both streams together
    assert [line.split()[0] for line in ctl("runs", "--before", "2").splitlines()] == ["id", "1"]


def test_resume_lists_the_remaining_pauses(ctl: Ctl, tmp_path: Path) -> None:
    ctl("pause", "--reason", "deploy", "--for", "2h")
    (tmp_path / "pause").write_text("restoring")
    ctl("pause", "--reason", "looking", "--stack", "shop")
    lines = ctl("resume", "--stack", "shop").splitlines()
    assert lines[0] == "pauses ended: 1"
    assert re.fullmatch(r"still paused: everything: deploy \(by oncall, until [-\d]+ [:\d]+ UTC\)", lines[1])
    assert lines[2] == f"still paused: everything: restoring (the file {tmp_path}/pause)"
    with pytest.raises(WrongUsage, match="no stack 'shopp'"):
        ctl("resume", "--stack", "shopp")


def test_status_lists_health_pauses_and_open_work(ctl: Ctl, deliver: Callable[..., None]) -> None:
    assert ctl("status").splitlines() == [
        "status: ok",
        "nothing is paused",
        "stack shop: approve collect_diagnostics;"
        " shadow analyze_tables, cancel_long_queries, terminate_idle_transactions, vacuum_tables",
        "open breakers: none",
        "unfinished runs: none",
        "undelivered notifications: none",
    ]
    deliver(remediation="collect_diagnostics", target="anything")
    deadline = time.monotonic() + 60
    while "awaiting_approval" not in ctl("status") and time.monotonic() < deadline:
        time.sleep(0.05)
    ctl("pause", "--reason", "deploy")
    text = ctl("status")
    assert "paused: everything: deploy (by oncall)" in text
    assert "unfinished runs: 1" in text
    assert set(json.loads(ctl("status", "--output", "json"))) == {
        "trouble",
        "leads",
        "leader",
        "stacks",
        "only_read",
        "pauses",
        "breakers",
        "runs",
        "messages_unsent",
        "audit_head",
    }


def test_run_shows_its_alert_and_runs_show_count_and_duration(ctl: Ctl, deliver: Callable[..., None]) -> None:
    deliver(stack="gone", remediation="run_backup", alertname="BackupTooOld")
    deadline = time.monotonic() + 60
    while "refused" not in ctl("runs") and time.monotonic() < deadline:
        time.sleep(0.05)
    head, row = (line.split("\t") for line in ctl("runs").splitlines())
    assert head == ["id", "began", "took", "items", "remediation", "target", "outcome"]
    assert re.fullmatch(r"\d+\.\ds", row[2])
    assert row[3:] == ["0/0", "run_backup", "gone/backups/main", "refused unknown_target"]
    cause = r"^alerts: BackupTooOld, firing since 2026-03-01 11:59:00.*, episode 1$"
    assert re.search(cause, ctl("run", "1"), re.MULTILINE)


@pytest.mark.parametrize("place", ["before", "after", "between", "with ="])
def test_token_file_works_on_both_sides_of_the_command(remediator: str, tmp_path: Path, place: str) -> None:
    url, token = ["--url", remediator], ["--token-file", str(tmp_path / "oncall")]
    words = {
        "before": [*url, *token, "audit", "verify"],
        "after": ["audit", "verify", *url, *token],
        "between": ["audit", *token, "verify", *url],
        "with =": ["audit", "verify", *(f"{option}={value}" for option, value in (url, token))],
    }[place]
    result = CliRunner().invoke(app, words, catch_exceptions=False, env={"OPERATOR_TOKEN_FILE": ""})
    assert (result.exit_code, "is intact" in result.output) == (0, True), result.output
