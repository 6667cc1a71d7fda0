"""The list of names that others script against is complete, and no name has left it."""

import pytest

from tools.release import interface
from tools.release.interface import missing_and_new


def test_no_name_that_others_script_against_is_missing() -> None:
    missing, _ = missing_and_new()
    assert missing == [], "a release may lose these only as docs/reference/compatibility.md says"


def test_list_is_complete() -> None:
    _, new = missing_and_new()
    assert new == [], "add them: python -m tools.release.interface --write"


@pytest.mark.parametrize(
    "name",
    [
        "flag runbook-remediator --ledger.url-file",
        "command runbookctl runs --output",
        "metric pg_up gauge {}",
        "metric remediation_runs_total counter {stack,remediation,outcome}",
        "key stacks.*.remediations.*.max_items",
        "route remediator POST /api/v1/questions/{id}/confirm",
        "route exporter GET /sd",
        "alert IdleInTransactionTooLong",
        "threshold runbook:bullmq_queue_oldest_waiting_age_seconds:critical",
        "remediation retry_failed_jobs",
    ],
)
def test_each_kind_of_name_is_in_the_list(name: str) -> None:
    assert name in interface.interface()


def test_name_that_is_gone_is_found(tmp_path, monkeypatch) -> None:
    file = tmp_path / "interface.txt"
    file.write_text("flag runbook-exporter --gone\n" + interface.FILE.read_text())
    monkeypatch.setattr(interface, "FILE", file)
    assert missing_and_new()[0] == ["flag runbook-exporter --gone"]
