"""`report` writes the report of a period, or the incident report of an episode, and never over a file."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runbookctl.errors import RemediatorRefused, WrongUsage
from runbookctl.main import app
from tests.unit.runbookctl.conftest import Ctl


@pytest.fixture
def incident(ctl: Ctl, remediator: str) -> str:
    """Start a run by hand, which has an episode of its own."""
    ctl("start", "collect_diagnostics", "shop/stack/shop", "--yes")
    return remediator


def test_report_is_printed_or_written_to_a_new_file(ctl: Ctl, incident: str, tmp_path: Path) -> None:
    printed = ctl("report", "--episode", "1")
    assert printed.startswith("# Incident: collect_diagnostics, started by an operator on shop/stack/shop\n")
    assert "| oncall | run 1 of collect_diagnostics began |" in printed
    file = tmp_path / "incident.md"
    assert ctl("report", "--episode", "1", "--file", str(file)) == ""
    assert file.read_text().splitlines()[0] == printed.splitlines()[0]
    assert json.loads(ctl("report", "--episode", "1", "--output", "json"))["episode"] == 1


def test_report_of_a_period_is_the_default_and_has_four_formats(ctl: Ctl, incident: str, tmp_path: Path) -> None:
    assert ctl("report").startswith("Report of 7 days, all stacks\n")
    assert ctl("report", "--since", "36h", "--stack", "shop").startswith("Report of 36 hours, shop\n")
    assert ctl("report", "--format", "markdown").startswith("# Report of 7 days, all stacks\n")
    assert ctl("report", "--format", "html").startswith("<!doctype html>\n")
    answer = json.loads(ctl("report", "--format", "json"))
    assert answer.keys() == json.loads(ctl("report", "-o", "json")).keys()
    assert answer["sentence"].startswith("In 7 days runbookd did nothing")
    file = tmp_path / "week.html"
    assert ctl("report", "--format", "html", "--file", str(file)) == ""
    assert file.read_text().startswith("<!doctype html>\n")


@pytest.mark.parametrize(
    ("words", "error", "reason"),
    [
        (("--since", "7"), WrongUsage, "since: '7' is not a duration; write it like 90s, 5m, 24h, 7d or 1h30m"),
        (("--since", "0s"), WrongUsage, "the period must be between 1s and 366d"),
        (("--since", "9999d"), WrongUsage, "since: '9999d' is too long"),
        (("--stack", "shp"), RemediatorRefused, "the inventory has no stack 'shp'; did you mean 'shop'?"),
        (("--episode", "1", "--since", "7d"), WrongUsage, "leave out --since and --stack"),
        (("--episode", "1", "--format", "html"), WrongUsage, "use --format markdown, not html"),
        (("--format", "html", "--output", "json"), WrongUsage, "--output json means --format json"),
        (("--episode", "99"), RemediatorRefused, "there is no episode 99"),
        (("--episode", "1", "--file", "{existing}"), WrongUsage, "exists already; name another file"),
        (("--episode", "1", "--file", "{missing}"), WrongUsage, "No such file or directory"),
    ],
)
def test_report_that_cannot_be_written_is_refused(
    incident: str, tmp_path: Path, words: tuple[str, ...], error: type[Exception], reason: str
) -> None:
    existing = tmp_path / "finished.md"
    existing.write_text("finished by hand")
    places = {"existing": str(existing), "missing": str(tmp_path / "no" / "folder.md")}
    arguments = ["--url", incident, "--token-file", str(tmp_path / "oncall"), "report"]
    result = CliRunner().invoke(app, [*arguments, *(word.format(**places) for word in words)])
    assert isinstance(result.exception, error)
    assert reason in str(result.exception)
    assert existing.read_text() == "finished by hand"
