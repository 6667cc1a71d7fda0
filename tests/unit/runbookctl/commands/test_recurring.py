"""`recurring` and `run` against a real remediator on which an alert has come back."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from runbookctl.main import app
from runbookctl.printing import recurring as printing
from runbookctl.printing.answers import Format
from tests.unit.runbookctl.conftest import Ctl

ALERT = {"remediation": "collect_diagnostics", "alertname": "HighLatency", "priority": "P1"}
TARGET = "shop/alerts/HighLatency"


def recurring(remediator: str, folder: Path, *words: str) -> Any:
    options = ["--url", remediator, "--token-file", str(folder / "oncall"), "recurring", *words]
    return CliRunner().invoke(app, options, catch_exceptions=False)


@pytest.fixture
def come_back(ctl: Ctl, deliver: Callable[..., None]) -> Callable[[int], None]:
    """Let the alert fire and be over so often."""

    def wait_for(state: str, number: int) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            states = [run["state"] for run in json.loads(ctl("runs", "-o", "json"))["runs"]]
            if len(states) == number and states[0] == state:
                return
            time.sleep(0.05)
        raise AssertionError(states)

    def play(times: int) -> None:
        for number in range(1, times + 1):
            began = {"starts": f"2026-03-01T12:{number}0:00Z"}
            deliver(**began, **ALERT)
            wait_for("awaiting_approval", number)
            deliver(status="resolved", ends=f"2026-03-01T12:{number}5:00Z", **began, **ALERT)
            wait_for("cancelled", number)

    return play


def test_problem_that_comes_back_is_listed_with_its_fix(
    ctl: Ctl, remediator: str, tmp_path: Path, come_back: Callable[[int], None]
) -> None:
    assert ctl("recurring") == "no problem recurs\n"
    come_back(3)
    result = recurring(remediator, tmp_path)
    assert result.exit_code == 1
    first, history, fix = result.output.splitlines()
    assert first == f"collect_diagnostics on {TARGET}"
    assert history.startswith("  3 times in seven days, from ")
    assert history.endswith("; no run acted; runs 3, 2, 1")
    assert fix.startswith("  permanent fix: The alert comes back, and no remediation answers it")
    [problem] = json.loads(recurring(remediator, tmp_path, "--stack", "shop", "-o", "json").output)["problems"]
    assert (problem["target"], problem["times"], problem["limit"], problem["runs"]) == (TARGET, 3, 3, [3, 2, 1])
    assert "the 3rd time in seven days; permanent fix: The alert comes back" in ctl("run", "3")
    assert "time in seven days" not in ctl("run", "2")


def test_texts_of_a_fix_are_printed_line_by_line_and_names_cannot_forge_one(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {
        **{"remediation": "cancel_long_queries", "target": "shop/postgres/main", "times": 7, "acted": 2, "items": 9},
        "first_at": "2020-03-01T12:00:00Z",
        "last_at": "2020-03-02T12:00:00Z",
        "runs": [9, 8, 7, 6, 5, 4],
        "causes": [{"traits": {"role": "a\nb\x1b[2J"}, "items": 8}],
        "fix": {"advice": "Do it.", "snippet": "ONE;\nTWO;", "language": "sql"},
    }
    console = Console(width=10_000)
    printing.recurring(console, {"problems": [problem]}, Format.TEXT)
    assert capsys.readouterr().out.splitlines() == [
        "cancel_long_queries on shop/postgres/main",
        "  7 times in seven days, from 2020-03-01 to 2020-03-02; 2 runs acted; runs 9, 8, 7, 6, 5, …",
        '  8 of 9 items: role="a\\nb\\u001b[2J"',
        "  permanent fix: Do it.",
        "    ONE;",
        "    TWO;",
    ]
