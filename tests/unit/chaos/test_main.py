"""The command: it prints the order of faults, reports a finding by its exit code, and keeps the report."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from chaos import __main__ as command
from chaos.audit.evidence import Bounds, Evidence
from chaos.audit.ledger_copy import LedgerCopy
from chaos.schedule import schedule
from chaos.verdict import Verdict
from remediator.ledger.audit_verify import AuditReport

LEDGER = LedgerCopy(Counter(), 0, [], [], [], AuditReport("", 0, None))


def verdict(fixed_after: float | None) -> Verdict:
    evidence = Evidence(Bounds(1, [], {}), LEDGER, fixed_after=fixed_after)
    return Verdict.of(7, evidence, Counter({"kill the leader": 2}))


def run(monkeypatch: pytest.MonkeyPatch, *flags: str) -> int:
    monkeypatch.setattr("sys.argv", ["chaos", "--seconds", "60", "--seed", "7", *flags])
    return command.main()


def test_schedule_is_printed_and_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "faketime_library", lambda: tmp_path)
    assert run(monkeypatch, "--schedule") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [str(step) for step in schedule(7, 60)]


def test_faults_of_the_clock_are_skipped_by_name_without_libfaketime(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "faketime_library", lambda: None)
    assert run(monkeypatch, "--schedule") == 0
    output = capsys.readouterr().out
    assert "skipped by name, because libfaketime was not fetched: the faults `clock of …`" in output
    assert "one hour" not in output


@pytest.mark.parametrize(("fixed_after", "code"), [(10.0, 0), (None, 1)])
def test_finding_is_reported_by_the_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    fixed_after: float | None,
    code: int,
) -> None:
    async def judged(*_: object) -> Verdict:
        return verdict(fixed_after)

    monkeypatch.setattr(command, "chaos", judged)
    monkeypatch.setattr(command, "OUTPUT", tmp_path)
    monkeypatch.setattr(command, "TOOLS", tmp_path)
    assert run(monkeypatch) == code
    output = capsys.readouterr().out
    assert ("FAILED  the loop is healthy" in output) is bool(code)
    assert "2 faults of 1 kinds; seed 7" in output
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["passed"], report["seed"]) == (not code, 7)
    assert len(report["schedule"]) == len(schedule(7, 60)) or not command.faketime_library()


def test_only_the_first_findings_of_a_rule_are_printed() -> None:
    many = replace(verdict(10.0), findings={"no rate passed": [f"finding {number}" for number in range(8)]})
    printed = [line for line in many.lines() if line.startswith("FAILED")]
    assert printed[0] == "FAILED  no rate passed: finding 0"
    assert printed[-1] == "FAILED  no rate passed: 3 more, in the report"
    assert len(printed) == 6
