"""Each bound, just inside and just outside its limit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.bounds.bounds import DEFERRALS, REFUSALS, decide
from remediator.bounds.facts import AlertFacts, BlockOnFacts, BoundFacts, HistoryFacts, PlanFacts, StormFacts
from runbookd.inventory import Limits, Mode, RemediationSettings, StackLimits, Window

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ADMISSIBLE = BoundFacts(
    now=NOW,
    settings=RemediationSettings(mode=Mode.AUTO),
    limits=Limits(),
    stack_limits=StackLimits(),
    alert=AlertFacts(firing_since=NOW - timedelta(minutes=1), confirmed_at=NOW),
    block_on=BlockOnFacts(),
    storm=StormFacts(),
    plan=PlanFacts(found=1, population=100, max_items=10),
    history=HistoryFacts(),
)
NIGHT = Window.model_validate({"days": ["mon"], "from": "02:00", "to": "04:00"})
HOUR_AGO = NOW - timedelta(minutes=59)


def settings(**keys: Any) -> RemediationSettings:
    return RemediationSettings.model_validate({"mode": "auto", **keys})


def changed(facts: BoundFacts, **changes: Any) -> BoundFacts:
    """Return `facts` with other values; `plan={"found": 11}` changes one value of a group."""
    groups = {
        name: replace(getattr(facts, name), **value) for name, value in changes.items() if isinstance(value, dict)
    }
    return replace(facts, **{**changes, **groups})


STOPPED: list[tuple[str, dict[str, Any]]] = [
    ("kill_switch", {"pause_reason": ""}),
    ("mode_off", {"settings": settings(mode="off")}),
    ("freeze", {"freeze_detail": "holidays"}),
    ("breaker", {"breaker_reason": "run 3 ended unknown"}),
    ("storm", {"storm": {"alerts": 21}}),
    ("storm", {"storm": {"targets": 6}}),
    ("storm", {"storm": {"last_at": NOW - timedelta(minutes=10) + timedelta(microseconds=1)}}),
    ("stale", {"alert": {"confirmed_at": NOW - timedelta(minutes=10, microseconds=1)}}),
    ("stale", {"alert": {"confirmed_at": NOW + timedelta(seconds=31)}}),
    ("max_items", {"plan": {"found": 11}}),
    ("max_items", {"settings": settings(batch=3), "plan": {"max_items": None, "approved_count": 4}}),
    ("max_share", {"settings": settings(max_share=0.2), "plan": {"found": 21, "max_items": None}}),
    ("max_share", {"settings": settings(max_share=0.2), "plan": {"found": 20, "population": 99, "max_items": None}}),
    ("max_share", {"settings": settings(max_share=0.2), "plan": {"population": None}}),
    ("blocked_by_alert", {"block_on": {"firing": ("Failover",)}}),
    ("requires", {"surroundings": {"requires": ["http/api is down: status 503, not 200"]}}),
    ("deploy", {"surroundings": {"deploy": ["a deploy began at 11:59:00 UTC, and its end is not reported"]}}),
    ("backup_running", {"surroundings": {"backup_running": ["run 7 makes a backup of shop/backups/nightly"]}}),
    ("min_firing", {"settings": settings(min_firing="61s")}),
    ("cooldown", {"history": {"last_admitted_end": NOW - timedelta(minutes=5) + timedelta(microseconds=1)}}),
    ("rate", {"history": {"remediation_admissions": [HOUR_AGO] * 3}}),
    ("rate", {"history": {"stack_admissions": [HOUR_AGO] * 10}}),
    ("rate", {"history": {"all_admissions": [HOUR_AGO] * 30}}),
    ("concurrency", {"history": {"active": 1}}),
    (
        "concurrency",
        {"limits": Limits(concurrency=9), "history": {"active_stack": 2}, "stack_limits": StackLimits(concurrency=2)},
    ),
    (
        "stale",
        {
            "alert": {"confirmed_at": NOW - MINUTE},
            "stack_limits": StackLimits(max_alert_age=MINUTE - timedelta(seconds=1)),
        },
    ),
    ("concurrency", {"history": {"target_busy": True}}),
    ("window", {"settings": settings(only_in="night"), "window": NIGHT}),
    ("alertmanager_unreadable", {"block_on": {"error": "no answer"}}),
]
PASSED: list[dict[str, Any]] = [
    {},
    {"alert": {"confirmed_at": NOW - timedelta(minutes=10)}},
    {
        "alert": {"confirmed_at": NOW - timedelta(minutes=20)},
        "stack_limits": StackLimits(max_alert_age=timedelta(minutes=20)),
    },
    {
        "limits": Limits(concurrency=9),
        "history": {"active": 8, "active_stack": 1},
        "stack_limits": StackLimits(concurrency=2),
    },
    {"plan": {"found": 10}},
    {"storm": {"alerts": 20, "targets": 5}},
    {"storm": {"last_at": NOW - timedelta(minutes=10)}},
    {"plan": {"found": 1000, "max_items": None}},
    {"settings": settings(batch=3), "plan": {"found": 1000, "max_items": None, "approved_count": 3}},
    {"settings": settings(max_share=0.2), "plan": {"found": 20, "max_items": None}},
    {"settings": settings(min_firing="60s")},
    {"history": {"last_admitted_end": NOW - timedelta(minutes=5)}},
    {
        "history": {
            "remediation_admissions": [HOUR_AGO] * 2,
            "stack_admissions": [HOUR_AGO] * 9,
            "all_admissions": [HOUR_AGO] * 29,
        }
    },
]


@pytest.mark.parametrize(("bound", "facts"), STOPPED)
def test_exceeded_bound_stops_the_run(bound: str, facts: dict[str, Any]) -> None:
    decision = decide(changed(ADMISSIBLE, **facts))
    assert decision.reason == bound
    assert decision.detail
    assert {*decision.refusals, *decision.deferrals} == {bound}


@pytest.mark.parametrize("facts", PASSED)
def test_no_bound_stops_a_run_at_its_limit(facts: dict[str, Any]) -> None:
    assert decide(changed(ADMISSIBLE, **facts)).reason == ""


def test_every_bound_has_a_case() -> None:
    assert {bound for bound, _ in STOPPED} == {*REFUSALS, *DEFERRALS}, "add facts that it stops to STOPPED"


def test_a_refusal_wins_over_a_deferral() -> None:
    decision = decide(changed(ADMISSIBLE, history={"active": 1}, plan={"found": 11}))
    assert decision.reason == "max_items"
    assert list(decision.deferrals) == ["concurrency"]


def test_retry_waits_for_the_last_deferral() -> None:
    facts = changed(ADMISSIBLE, history={"remediation_admissions": [HOUR_AGO] * 3, "active": 1})
    assert decide(facts).not_before(NOW) == HOUR_AGO + timedelta(hours=1)


@pytest.mark.parametrize(
    ("bound", "history"),
    [
        ("cooldown", {"last_admitted_end": NOW + timedelta(days=9)}),
        ("rate", {"remediation_admissions": [NOW + timedelta(days=9)] * 3}),
    ],
)
def test_bound_that_counts_runs_of_the_future_says_that_the_clock_was_set_back(
    bound: str, history: dict[str, Any]
) -> None:
    judgement = decide(changed(ADMISSIBLE, history=history)).judgements[bound]
    assert (judgement.stops, "the clock has been set back" in judgement.detail) == (True, True)


@pytest.mark.parametrize("facts", [ADMISSIBLE, *(changed(ADMISSIBLE, **change) for _, change in STOPPED)])
def test_every_judgement_has_a_detail_whether_it_stops_or_not(facts: BoundFacts) -> None:
    judgements = decide(facts).judgements
    assert list(judgements) == [*REFUSALS, *DEFERRALS]
    assert all(judgement.detail for judgement in judgements.values())
    assert not any("None" in judgement.detail for judgement in judgements.values())


def test_details_show_the_judged_numbers() -> None:
    full = changed(
        ADMISSIBLE,
        settings=settings(max_share=0.2, block_on=["Failover"], only_in="noon", min_firing="30s"),
        plan={"found": 7},
        surroundings={"requires": [], "deploy": []},
        window=Window.model_validate({"days": ["sun"], "from": "11:00", "to": "13:00"}),
        history={"last_admitted_end": NOW - timedelta(minutes=6), "remediation_admissions": [HOUR_AGO]},
        storm={"alerts": 4, "targets": 2},
        stack_limits=StackLimits(concurrency=2, max_alert_age=timedelta(0)),
    )
    details = {name: judgement.detail for name, judgement in decide(full).judgements.items()}
    assert details == {
        "kill_switch": "not paused",
        "mode_off": "the mode is auto",
        "freeze": "no freeze is in force",
        "breaker": "the breaker is closed",
        "storm": "4 of 20 alerts on 2 of 5 targets within 5m",
        "stale": "the alert was last confirmed 0s ago, max_alert_age is 0s",
        "max_items": "found 7, max_items is 10",
        "max_share": "found 7 of 100, max_share allows 20",
        "blocked_by_alert": "not firing: Failover",
        "requires": "every required target answers",
        "deploy": "no deploy or migration is under way",
        "backup_running": "does not apply to this remediation",
        "min_firing": "has fired for 1m, min_firing is 30s",
        "cooldown": "the last run ended 6m ago, cooldown is 5m",
        "rate": "runs in the last hour: 1 of 3 of this remediation, 0 of 10 of the stack, 0 of 30 of all stacks",
        "concurrency": "0 of 1 runs are under way, 0 of 2 of the stack",
        "window": "inside the window noon (sun 11:00 to 13:00 UTC)",
        "alertmanager_unreadable": "Alertmanager answers, or block_on is not set",
    }
