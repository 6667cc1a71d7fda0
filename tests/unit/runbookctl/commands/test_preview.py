"""`plan`, `why`, `simulate`, and the JSON of every command, against a real remediator on loopback."""

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runbookctl.main import main
from tests.unit.remediator.payloads import alert, delivery
from tests.unit.runbookctl.conftest import Ctl

TARGET = ("collect_diagnostics", "shop/stack/shop")
OUTPUT = ("--output", "json")


def ask(ctl: Ctl, *arguments: str) -> Any:
    return json.loads(ctl(*arguments, *OUTPUT))


@pytest.fixture
def awaiting_run(ctl: Ctl, deliver: Callable[..., None]) -> str:
    """Return the number of a run that awaits approval."""
    deliver(remediation="collect_diagnostics", target="anything")
    for _ in range(200):
        runs = ask(ctl, "runs", "--state", "awaiting_approval")["runs"]
        if runs:
            return str(runs[0]["id"])
        time.sleep(0.05)
    raise AssertionError("no run awaits approval")


@pytest.fixture
def code(remediator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command, and return the exit code that a shell sees."""

    def run(*arguments: str, token: Path | None = None) -> int:
        words = ["runbookctl", "--url", remediator, "--token-file", str(token or tmp_path / "oncall"), *arguments]
        monkeypatch.setattr(sys, "argv", words)
        try:
            return main()
        except SystemExit as end:
            return int(str(end.code))

    return run


def test_plan_json_has_items_numbers_and_bounds(ctl: Ctl) -> None:
    answer = ask(ctl, "plan", *TARGET)
    assert (answer["would"], answer["mode"]) == ("awaiting_approval", "approve")
    assert answer["items"] == [{"identity": {"part": "shop/postgres/main"}, "evidence": {}}]
    assert answer["numbers"]["runs_last_hour"] == {"remediation": [0, 3], "stack": [0, 10], "all": [0, 30]}
    assert answer["numbers"]["items"] == {"found": 1, "max_items": 20, "batch": None}
    assert {bound["bound"] for bound in answer["bounds"]} >= {"kill_switch", "max_items", "storm", "rate", "window"}
    assert not any(bound["stops"] for bound in answer["bounds"])
    assert ask(ctl, "runs")["runs"] == []


def test_plan_text_lists_the_refusing_bound_first(ctl: Ctl) -> None:
    ctl("pause", "--reason", "deploy")
    text = ctl("plan", *TARGET)
    assert "collect_diagnostics on shop/stack/shop, mode approve" in text
    assert "would be: refused (kill_switch): paused: deploy (by oncall)" in text
    rows = [line.split(maxsplit=2) for line in text.splitlines()]
    assert rows[2][:2] == ["bound", "result"]
    assert rows[3][:2] == ["kill_switch", "refuse"]
    assert [row[1] for row in rows[4:18]] == ["pass"] * 14
    assert "0 of 3 of this remediation, 0 of 10 of the stack, 0 of 30 of all stacks" in text
    assert "\n  part=shop/postgres/main\n" in text


def test_plan_reports_an_unreadable_target(ctl: Ctl) -> None:
    answer = ask(ctl, "plan", "analyze_tables", "shop/postgres/main")
    assert (answer["would"], answer["reason"]) == ("failed", "target_unreachable")
    assert "admin_dsn" in answer["detail"]


def test_why_explains_a_run_that_awaits_approval(ctl: Ctl, awaiting_run: str) -> None:
    answer = ask(ctl, "why", awaiting_run)
    assert answer["run"]["state"] == "awaiting_approval"
    assert f"(runbookctl approve {awaiting_run})" in answer["what_next"]
    assert answer["expires_at"] is not None
    assert answer["now"]["would"] == "awaiting_approval"
    text = ctl("why", awaiting_run)
    assert f"run {awaiting_run}: collect_diagnostics on shop/alerts/FolderFull" in text
    assert f"runbookctl approve {awaiting_run}" in text


def test_why_names_the_bound_that_refused_a_run(ctl: Ctl, deliver: Callable[..., None]) -> None:
    deliver(remediation="run_backup", target="nothing")
    for _ in range(200):
        if ask(ctl, "runs", "--state", "refused")["runs"]:
            break
        time.sleep(0.05)
    text = ctl("why", "1")
    assert "refused (unknown_target)" in text
    assert "refused by unknown_target: stack shop has no backups target 'nothing'" in text


def test_simulate_previews_each_episode_of_a_delivery(ctl: Ctl, tmp_path: Path) -> None:
    alerts = [alert(remediation="collect_diagnostics"), alert(fingerprint="2", stack="shopp", remediation="run_backup")]
    alerts.append({**alert(fingerprint="3"), "labels": {"alertname": "Other"}})
    file = tmp_path / "payload.json"
    file.write_bytes(delivery(alerts))
    answer = ask(ctl, "simulate", str(file))
    assert (answer["alerts"], answer["without_remediation"]) == (3, 1)
    assert [each["would"] for each in answer["episodes"]] == ["awaiting_approval", "refused"]
    assert "did you mean 'shop'" in answer["episodes"][1]["detail"]
    text = ctl("simulate", str(file))
    assert "3 alerts, 1 of them without a remediation" in text
    assert "would be: refused (unknown_target)" in text
    assert ask(ctl, "runs")["runs"] == []


def test_simulate_reads_a_delivery_from_stdin(
    code: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(delivery([alert(stack="nobody")]))))
    assert code("simulate", "-", *OUTPUT) == 0
    assert [each["reason"] for each in json.loads(capsys.readouterr().out)["episodes"]] == ["unknown_target"]


def test_every_command_prints_json(ctl: Ctl, awaiting_run: str) -> None:
    assert ask(ctl, "run", awaiting_run)["id"] == int(awaiting_run)
    assert ask(ctl, "pause", "--reason", "deploy", "--stack", "shop")["stack"] == "shop"
    assert ask(ctl, "resume") == {"ended": 1}
    assert ask(ctl, "reject", awaiting_run)["state"] == "rejected"
    assert ask(ctl, "breaker", "list") == {"breakers": []}
    assert ask(ctl, "audit", "verify")["first_break"] is None


def test_approve_prints_json(ctl: Ctl, awaiting_run: str) -> None:
    assert ask(ctl, "approve", awaiting_run)["id"] == int(awaiting_run)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("runs",), 0),
        (("plan", *TARGET), 0),
        (("plan", "collect_diagnostics", "shop/postgres/main"), 1),
        (("plan", "collect_diagnostic", "shop/stack/shop"), 1),
        (("why", "7"), 1),
        (("run", "7"), 1),
        (("audit", "verify", "--head", "f" * 64), 1),
        (("audit", "verify", "--head", "f" * 64, *OUTPUT), 1),
        (("runs", "--state", "nonsense"), 2),
        (("pause", "--reason", "x", "--for", "soon"), 2),
        (("simulate", "/no/such/file"), 2),
        (("simulate", __file__), 2),
        (("--version",), 0),
        (("runs", "--output", "xml"), 2),
        (("nonsense",), 2),
    ],
)
def test_exit_code_tells_success_finding_and_usage_error_apart(
    code: Callable[..., int], arguments: tuple[str, ...], expected: int
) -> None:
    assert code(*arguments) == expected


def test_missing_token_exits_2_and_unknown_token_exits_1(code: Callable[..., int], tmp_path: Path) -> None:
    assert code("runs", token=tmp_path / "missing") == 2
    (tmp_path / "stranger").write_text("not-a-token")
    assert code("runs", token=tmp_path / "stranger") == 1


def test_audit_finding_is_printed_as_json_and_on_stderr(
    code: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert code("audit", "verify", "--head", "f" * 64, *OUTPUT) == 1
    output = capsys.readouterr()
    assert json.loads(output.out)["head_known"] is False
    assert "does not contain" in output.err
