"""Each bound, just inside and just outside."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.bounds.bounds import DEFERRALS, REFUSALS, BoundFacts, decide
from remediator.bounds.explain import EXPLANATIONS
from runbookd.inventory import Limits, RemediationSettings, StackLimits, Window

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FREE = BoundFacts(
    now=NOW,
    settings=RemediationSettings(mode="auto"),
    max_items=10,
    limits=Limits(),
    stack_limits=StackLimits(),
    firing_since=NOW - timedelta(minutes=1),
    confirmed_at=NOW,
    found=1,
    approved_count=0,
    population=100,
    pause_reason=None,
    freeze_detail=None,
    breaker_reason=None,
    storm_detail=None,
    blocking_alerts=(),
    alertmanager_error=None,
    window=None,
    last_admitted_end=None,
    remediation_admissions=(),
    stack_admissions=(),
    all_admissions=(),
    active=0,
    active_stack=0,
    target_busy=False,
)
NIGHT = Window.model_validate({"days": ["mon"], "from": "02:00", "to": "04:00"})
HOUR_AGO = NOW - timedelta(minutes=59)


def settings(**keys: Any) -> RemediationSettings:
    return RemediationSettings.model_validate({"mode": "auto", **keys})


HITS: list[tuple[str, dict[str, Any]]] = [
    ("kill_switch", {"pause_reason": ""}),
    ("mode_off", {"settings": settings(mode="off")}),
    ("freeze", {"freeze_detail": "holidays"}),
    ("breaker", {"breaker_reason": "run 3 ended unknown"}),
    ("storm", {"storm_detail": "a storm"}),
    ("stale", {"confirmed_at": NOW - timedelta(minutes=10, microseconds=1)}),
    ("stale", {"confirmed_at": NOW + timedelta(seconds=31)}),
    ("max_items", {"found": 11}),
    ("max_items", {"settings": settings(batch=3), "max_items": None, "approved_count": 4}),
    ("max_share", {"settings": settings(max_share=0.2), "found": 21, "max_items": None}),
    ("max_share", {"settings": settings(max_share=0.2), "found": 20, "population": 99, "max_items": None}),
    ("max_share", {"settings": settings(max_share=0.2), "population": None}),
    ("blocked_by_alert", {"blocking_alerts": ("Failover",)}),
    ("min_firing", {"settings": settings(min_firing="61s")}),
    ("cooldown", {"last_admitted_end": NOW - timedelta(minutes=5) + timedelta(microseconds=1)}),
    ("rate", {"remediation_admissions": [HOUR_AGO] * 3}),
    ("rate", {"stack_admissions": [HOUR_AGO] * 10}),
    ("rate", {"all_admissions": [HOUR_AGO] * 30}),
    ("concurrency", {"active": 1}),
    ("concurrency", {"limits": Limits(concurrency=9), "active_stack": 2, "stack_limits": StackLimits(concurrency=2)}),
    ("stale", {"confirmed_at": NOW - MINUTE, "stack_limits": StackLimits(max_alert_age=MINUTE - timedelta(seconds=1))}),
    ("concurrency", {"target_busy": True}),
    ("window", {"settings": settings(only_in="night"), "window": NIGHT}),
    ("alertmanager_unreadable", {"alertmanager_error": "no answer"}),
]
PASSES: list[dict[str, Any]] = [
    {},
    {"confirmed_at": NOW - timedelta(minutes=10)},
    {"confirmed_at": NOW - timedelta(minutes=20), "stack_limits": StackLimits(max_alert_age=timedelta(minutes=20))},
    {"limits": Limits(concurrency=9), "active": 8, "active_stack": 1, "stack_limits": StackLimits(concurrency=2)},
    {"found": 10},
    {"found": 1000, "max_items": None},
    {"settings": settings(batch=3), "found": 1000, "max_items": None, "approved_count": 3},
    {"settings": settings(max_share=0.2), "found": 20, "max_items": None},
    {"settings": settings(min_firing="60s")},
    {"last_admitted_end": NOW - timedelta(minutes=5)},
    {"remediation_admissions": [HOUR_AGO] * 2, "stack_admissions": [HOUR_AGO] * 9, "all_admissions": [HOUR_AGO] * 29},
]


@pytest.mark.parametrize(("bound", "facts"), HITS)
def test_a_bound_that_is_reached_stands_in_the_way(bound: str, facts: dict[str, Any]) -> None:
    decision = decide(replace(FREE, **facts))
    assert decision.reason == bound
    assert decision.detail
    assert {*decision.refusals, *decision.deferrals} == {bound}


@pytest.mark.parametrize("facts", PASSES)
def test_up_to_the_bound_nothing_stands_in_the_way(facts: dict[str, Any]) -> None:
    assert decide(replace(FREE, **facts)).reason == ""


def test_every_bound_has_a_case() -> None:
    assert {bound for bound, _ in HITS} == {*REFUSALS, *DEFERRALS}


def test_a_refusal_wins_over_a_deferral() -> None:
    decision = decide(replace(FREE, active=1, found=11))
    assert decision.reason == "max_items"
    assert list(decision.deferrals) == ["concurrency"]


def test_it_is_tried_again_when_the_last_deferral_may_have_passed() -> None:
    facts = replace(FREE, remediation_admissions=[HOUR_AGO] * 3, active=1)
    assert decide(facts).not_before(NOW) == HOUR_AGO + timedelta(hours=1)


@pytest.mark.parametrize("facts", [FREE, *(replace(FREE, **change) for _, change in HITS)])
def test_every_bound_tells_its_numbers_whether_it_stops_or_not(facts: BoundFacts) -> None:
    assert list(EXPLANATIONS) == [*REFUSALS, *DEFERRALS]
    told = {name: measure(facts) for name, measure in EXPLANATIONS.items()}
    assert all(told.values())
    assert not any("None" in text for text in told.values())


def test_the_numbers_are_those_that_are_judged() -> None:
    full = replace(
        FREE,
        settings=settings(max_share=0.2, block_on=["Failover"], only_in="night", min_firing="30s"),
        found=7,
        window=NIGHT,
        last_admitted_end=NOW - timedelta(minutes=6),
        remediation_admissions=[HOUR_AGO],
        new_alerts=4,
        new_targets=2,
        stack_limits=StackLimits(concurrency=2, max_alert_age=timedelta(0)),
    )
    assert {
        name: EXPLANATIONS[name](full) for name in ("stale", "max_items", "max_share", "storm", "rate", "window")
    } == {
        "stale": "the alert was last confirmed 0s ago, max_alert_age is 0s",
        "max_items": "found 7, max_items is 10",
        "max_share": "found 7 of 100, max_share allows 20",
        "storm": "4 of 20 alerts on 2 of 5 targets within 5m",
        "rate": "in the last hour 1 of 3 of this remediation, 0 of 10 of the stack, 0 of 30 of all stacks",
        "window": "inside the window night (mon 02:00 to 04:00 UTC)",
    }
    assert EXPLANATIONS["cooldown"](full) == "the last run ended 6m ago, cooldown is 5m"
    assert EXPLANATIONS["min_firing"](full) == "has fired for 1m, min_firing is 30s"
    assert EXPLANATIONS["concurrency"](full) == "0 of 1 runs are under way, 0 of 2 of the stack"
    assert EXPLANATIONS["blocked_by_alert"](full) == "none of them fires: Failover"
