"""`start` shows the plan, asks, and starts exactly this plan."""

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runbookctl.main import app
from tests.unit.runbookctl.conftest import Ctl

START = ("start", "collect_diagnostics", "shop/stack/shop")


def test_start_shows_plan_bounds_and_undo_before_it_starts(ctl: Ctl) -> None:
    text = ctl(*START, "--reason", "before the deploy", "--yes")
    for part in ("part=shop/postgres/main", "mode_off", "undo: none. It changes nothing", "run 1 is started"):
        assert part in text
    run = json.loads(ctl("run", "1", "--output", "json"))
    assert run["evidence"]["requested"] == {"by": "oncall", "reason": "before the deploy"}
    assert "started by oncall: before the deploy" in ctl("run", "1")


def test_run_leaves_the_bounds_that_passed_to_programs(ctl: Ctl) -> None:
    ctl(*START, "--yes")
    deadline = time.monotonic() + 60
    while "judged" not in (shown := ctl("run", "1", "--output", "json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert json.loads(shown)["evidence"]["judged"]["passed"].keys() == {"mode_off"}
    assert "judged" not in ctl("run", "1")


@pytest.mark.parametrize(("answer", "runs"), [("n\n", 0), ("y\n", 1)])
def test_start_acts_only_on_a_yes(remediator: str, tmp_path: Path, ctl: Ctl, answer: str, runs: int) -> None:
    words = ["--url", remediator, "--token-file", str(tmp_path / "oncall"), *START]
    result = CliRunner().invoke(app, words, input=answer)
    assert result.exit_code == 1 - runs
    assert len(json.loads(ctl("runs", "--output", "json"))["runs"]) == runs


@pytest.mark.parametrize("words", [(*START, "--set", "no"), (*START, "--set", "=1")])
def test_malformed_parameter_is_wrong_usage(remediator: str, words: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match="write NAME=VALUE"):
        CliRunner().invoke(app, ["--url", remediator, *words], catch_exceptions=False)
