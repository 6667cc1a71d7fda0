"""The report lists every difference from the expected end, and is ok without any."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.incidents import INCIDENTS, IncidentProof, Injection
from demo.incidents.base import check_claims
from demo.report import Result, build_report
from demo.timeline import Step, Timeline, deciding_run

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _after(seconds: float) -> str:
    return (AT + timedelta(seconds=seconds)).isoformat()


def _timeline(name: str) -> Timeline:
    return Timeline(INCIDENTS[name], Injection(incident=name, at=AT, facts={}), lambda _timeline, _step: None)


def _run(
    state: str, *history: str, reason: str = "", created: float = 20, target: str = "shop/postgres/main"
) -> dict[str, Any]:
    entries = [{"state": each, "at": _after(created + n), "reason": ""} for n, each in enumerate(history, 1)]
    return {
        "id": int(created),
        "remediation": "terminate_idle_transactions",
        "target": target,
        "state": state,
        "reason": reason,
        "created_at": _after(created),
        "delivered_at": _after(created - 1),
        "history": entries,
    }


def _fixed_timeline() -> Timeline:
    timeline = _timeline("idle_transactions")
    for second, step in enumerate((Step.SEEN, Step.PENDING, Step.FIRING)):
        timeline.mark(step, AT + timedelta(seconds=second))
    timeline.read_run(_run("succeeded", "prechecked", "admitted", "executing", "verifying", "succeeded"))
    timeline.mark(Step.RESOLVED, AT + timedelta(seconds=30))
    return timeline


def _refused_timeline(reason: str) -> Timeline:
    timeline = _timeline("too_many_sessions")
    for second, step in enumerate((Step.SEEN, Step.PENDING, Step.FIRING)):
        timeline.mark(step, AT + timedelta(seconds=second))
    timeline.read_run(_run("refused", "prechecked", "refused", reason=reason))
    return timeline


def _result(timeline: Timeline, proof: IncidentProof | None = None) -> Result:
    return Result(timeline.incident, timeline, proof or check_claims({}))


def test_report_is_ok_when_all_steps_are_reached_and_all_proofs_hold() -> None:
    report = build_report([_result(_fixed_timeline()), _result(_refused_timeline("max_items"))], 61.04)
    assert report["ok"] is True
    assert report["missing"] == []
    assert report["seconds"] == 61.0
    assert report["incidents"]["a"]["steps"] == {
        **{"seen": 0, "pending": 1, "firing": 2, "delivered": 19, "planned": 20},
        **{"bounds": 22, "applied": 24, "verified": 25, "resolved": 30},
    }
    assert report["incidents"]["d"]["refused_by"] == "max_items"


@pytest.mark.parametrize("step", list(Step))
def test_step_that_was_not_reached_is_reported(step: Step) -> None:
    timeline = _fixed_timeline()
    del timeline.steps[step]
    report = build_report([_result(timeline)], 1)
    assert report["ok"] is False
    assert report["missing"] == [f"idle_transactions: step not reached: {step}"]


def test_refusal_by_another_bound_is_reported() -> None:
    report = build_report([_result(_refused_timeline("storm"))], 1)
    assert report["missing"] == ["too_many_sessions: the run ended as refused by storm, expected refused by max_items"]


def test_ineffective_run_is_reported() -> None:
    timeline = _fixed_timeline()
    timeline.outcome = "ineffective"
    report = build_report([_result(timeline)], 1)
    assert report["missing"] == ["idle_transactions: the run ended as ineffective, expected succeeded"]


def test_claim_that_does_not_hold_is_reported_even_if_the_run_succeeded() -> None:
    report = build_report(
        [_result(_fixed_timeline(), check_claims({"alive": 3}, nobody_is_blocked=False, fine=True))], 1
    )
    assert report["missing"] == ["idle_transactions: not proven: nobody is blocked"]
    assert report["incidents"]["a"]["proof"] == {"alive": 3}


def test_incident_that_was_not_followed_is_reported_with_the_reason() -> None:
    report = build_report([Result(INCIDENTS["old_backup"], failure="TimeoutError: the bucket")], 1)
    assert report["missing"] == ["old_backup: TimeoutError: the bucket"]


def test_first_successful_run_decides_even_if_later_runs_exist() -> None:
    runs = [_run("nothing_to_do", created=40), _run("succeeded", created=30), _run("failed", created=20)]
    run = deciding_run(runs, INCIDENTS["idle_transactions"], _timeline("idle_transactions").injection)
    assert run is not None
    assert run["id"] == 30


def test_newest_run_decides_while_no_run_has_succeeded() -> None:
    runs = [_run("executing", created=40), _run("failed", created=20)]
    run = deciding_run(runs, INCIDENTS["idle_transactions"], _timeline("idle_transactions").injection)
    assert run is not None
    assert run["id"] == 40


def test_earlier_runs_and_runs_of_other_targets_are_ignored() -> None:
    runs = [_run("succeeded", created=-1), _run("succeeded", target="shop/postgres/other")]
    assert deciding_run(runs, INCIDENTS["idle_transactions"], _timeline("idle_transactions").injection) is None
