"""`deploy` marks a deploy for the rules."""

import re
import time
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runbookctl.main import app
from tests.unit.runbookctl.conftest import Ctl


def marker(remediator: str) -> dict[str, float]:
    page = answer(f"{remediator}/metrics").decode()
    lines = re.findall(r'^stack_last_deploy_timestamp_seconds\{stack="shop",version="(.*)"\} (\S+)', page, re.M)
    return {version: float(value) for version, value in lines}


def answer(url: str) -> bytes:
    with urllib.request.urlopen(url) as response:  # noqa: S310 a server of this test
        return bytes(response.read())


def test_deploy_sets_the_marker_and_done_ends_it(ctl: Ctl, remediator: str) -> None:
    assert marker(remediator) == {}
    before = time.time()
    assert ctl("deploy", "shop", "--version", "2.0.1") == "deploy of shop 2.0.1: started\n"
    first = marker(remediator)
    assert before - 1 <= first["2.0.1"] <= time.time()
    assert ctl("deploy", "shop", "--version", "2.0.1", "--done") == "deploy of shop 2.0.1: done\n"
    assert marker(remediator) == first, "the end of a deploy does not move its beginning"
    assert ctl("deploy", "shop", "--version", "2.1") == "deploy of shop 2.1: started\n"
    assert list(marker(remediator)) == ["2.1"], "one series per stack: that of the newest deploy"


def test_deploy_that_was_not_announced_begins_at_its_end(ctl: Ctl, remediator: str) -> None:
    ctl("deploy", "shop", "--done")
    assert list(marker(remediator)) == [""]
    assert "broken" not in ctl("audit", "verify")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("other",), "the inventory has no stack 'other'"),
        (("shop", "--version", "a b"), "version: must match"),
    ],
)
def test_deploy_of_an_unknown_stack_or_an_odd_version_is_refused(
    remediator: str, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    arguments = ["--url", remediator, "--token-file", str(tmp_path / "oncall"), "deploy", *words]
    result = CliRunner().invoke(app, arguments)
    assert reason in (result.output or str(result.exception))


def test_prometheus_that_does_not_answer_is_no_readiness(remediator: str, tmp_path: Path) -> None:
    connection = ["--url", remediator, "--token-file", str(tmp_path / "oncall")]
    result = CliRunner().invoke(app, [*connection, "predeploy", "shop", "--prometheus", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "check --prometheus (PROMETHEUS_URL)" in (result.output or str(result.exception))
