"""`episodes` lists what is open, and `ack` takes it in hand."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runbookctl.errors import RemediatorRefused, WrongUsage
from runbookctl.main import app
from tests.unit.runbookctl.conftest import Ctl


@pytest.fixture
def open_episode(deliver: Callable[..., None], ctl: Ctl) -> None:
    """Let an alert of priority P0 fire, and wait until its episode is open."""
    deliver(alertname="DatabaseDown", remediation="collect_diagnostics", priority="P0")
    end = time.monotonic() + 60
    while "DatabaseDown" not in ctl("episodes"):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_operator_finds_an_episode_and_takes_it_in_hand(open_episode: None, ctl: Ctl) -> None:
    assert "\tP0\t" in ctl("episodes")
    assert "\tnobody, since " in ctl("episodes")
    assert "acknowledge it: runbookctl ack 1" in ctl("episodes", "1")
    assert ctl("ack", "1", "--note", "failing over", "--for", "2h").startswith("episode 1 is yours until 20")
    assert "\toncall until 20" in ctl("episodes")
    shown = ctl("episodes", "1")
    assert "alerts: DatabaseDown (P0)\n" in shown
    assert "note: failing over\n" in shown
    assert "acknowledge it" not in shown


def test_json_is_the_answer_of_the_api(open_episode: None, ctl: Ctl) -> None:
    answer: Any = json.loads(ctl("ack", "1", "--output", "json"))
    assert (answer["by"], answer["until"]) == ("oncall", None)
    assert json.loads(ctl("episodes", "--all", "-o", "json"))["episodes"][0]["acknowledged"]["by"] == "oncall"


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (["ack", "99"], RemediatorRefused, "there is no episode 99"),
        (["ack", "1", "--for", "soon"], WrongUsage, "for: "),
        (["episodes", "99"], RemediatorRefused, "there is no episode 99"),
    ],
)
def test_refusal_is_one_line(
    open_episode: None, remediator: str, tmp_path: Path, arguments: list[str], error: type[Exception], text: str
) -> None:
    result = CliRunner().invoke(app, ["--url", remediator, "--token-file", str(tmp_path / "oncall"), *arguments])
    assert isinstance(result.exception, error)
    assert text in str(result.exception)
