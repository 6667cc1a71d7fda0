"""The check-list of a release says what to do, and never takes a step for met that it could not run."""

import subprocess
import sys
from pathlib import Path

import pytest

import tools.release.__main__ as checklist
from tools.release.__main__ import NotRun, Unmet
from tools.release.outside import run_outside
from tools.toolchain.paths import ROOT

AUDITED = '{"dependencies": [{"name": "aiohttp", "version": "3", "vulns": []}]}'
UNSAFE = AUDITED.replace("[]", '[{"id": "GHSA-1"}]')
NOT_LOOKED_UP = '{"dependencies": [{"name": "aiohttp", "skip_reason": "not found"}]}'


def write_changelog(folder: Path, heading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n## [0.0.1] - 2026-01-01\n")
    monkeypatch.setattr(checklist, "ROOT", folder)


def test_dated_changelog_of_this_version_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_changelog(tmp_path, f"## [{checklist.VERSION}] - 2026-12-01", monkeypatch)
    checklist.require_changelog()


@pytest.mark.parametrize(
    ("heading", "remedy"),
    [
        (f"## [{checklist.VERSION}] - Unreleased", "write the date of the release in place of Unreleased"),
        ("## [9.9.9] - 2026-12-01", f"begin with `## [{checklist.VERSION}] - DATE`"),
        ("## [Unreleased]", f"begin with `## [{checklist.VERSION}] - DATE`"),
    ],
)
def test_changelog_of_another_version_or_without_date_is_refused(
    heading: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_changelog(tmp_path, heading, monkeypatch)
    with pytest.raises(Unmet) as refused:
        checklist.require_changelog()
    assert remedy in str(refused.value)


def audit(monkeypatch: pytest.MonkeyPatch, *reports: str) -> None:
    answers = iter(reports)
    monkeypatch.setattr(checklist, "_fresh_environment", lambda *_: Path("bin"))
    monkeypatch.setattr(
        checklist, "run_outside", lambda command, _: subprocess.CompletedProcess(command, 1, next(answers), "")
    )
    checklist.require_no_known_vulnerability()


def test_second_database_is_asked_if_the_first_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    audit(monkeypatch, NOT_LOOKED_UP, AUDITED)


def test_known_vulnerability_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unmet, match="known vulnerabilities: aiohttp 3"):
        audit(monkeypatch, UNSAFE)


def test_audit_without_any_database_is_not_taken_for_a_clean_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotRun, match="can be reached"):
        audit(monkeypatch, NOT_LOOKED_UP, "no address for this name")


@pytest.mark.parametrize(("error", "mark"), [(Unmet("mend it"), "no "), (NotRun("no network"), "?? ")])
def test_step_that_is_not_met_or_not_run_ends_with_1(
    error: Exception, mark: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def step() -> None:
        raise error

    monkeypatch.setattr(checklist, "STEPS", {"step": step})
    monkeypatch.setattr(sys, "argv", ["release"])
    with pytest.raises(SystemExit, match="not met or not run: step"):
        checklist.main()
    assert capsys.readouterr().out.startswith(mark)


def test_changelog_names_the_version_of_the_package() -> None:
    assert f"## [{checklist.VERSION}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_command_of_a_package_finds_nothing_in_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code = "import os; print(os.environ.get('PYTHONPATH'), os.environ['EXTRA'])"
    assert run_outside([sys.executable, "-c", code], tmp_path, {"EXTRA": "here"}).stdout == "None here\n"
