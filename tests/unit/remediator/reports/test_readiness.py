"""The verdict on a remediation: which plans count, what speaks against them, and from when it is ready for more."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.ledger.period_facts import EndedRun
from remediator.model.remediation import Remediation
from remediator.reports.readiness import Answer, PlanRecord, Ready, objection_to, plan_record, readiness
from runbookd.inventory import RemediationSettings, values_as_json
from tests.unit.remediator.folder_remediation import FolderRemediation

SHADOW = RemediationSettings.model_validate({"mode": "shadow"})


def run(number: int, state: str = "shadow", reason: str = "", **columns: Any) -> EndedRun:
    settings = json.dumps(values_as_json(SHADOW))
    names = {"stack": "shop", "remediation": "clear_folder", "target": "shop/postgres/main"}
    times = {"created_at": 0, "admitted_at": None, "deferred_at": None, "finished_at": 0, "firing_since": 0}
    plain: dict[str, Any] = {"id": number, "episode": number, "state": state, "reason": reason, "trigger": "alert"}
    plain |= {"requested_by": None, "approved_by": None, "undoes": None, "settings": settings}
    return EndedRun(**{**plain, **names, **times, **columns})


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("shadow", "", ""),
        ("shadow", "cooldown", ""),
        ("shadow", "window", ""),
        ("shadow", "max_items", "max_items"),
        ("shadow", "max_share", "max_share"),
        ("shadow", "freeze", None),
        ("shadow", "storm", None),
        ("shadow", "deploy", None),
        ("nothing_to_do", "", "nothing_to_do"),
        ("nothing_to_do", "retried_twice", "retried_twice"),
        ("refused", "max_items", "max_items"),
        ("refused", "unknown_target", "unknown_target"),
        ("refused", "kill_switch", None),
        ("refused", "stale", None),
        ("refused", "breaker", None),
        ("failed", "target_unreachable", "failed"),
        ("succeeded", "", ""),
        ("ineffective", "", "ineffective"),
        ("unknown", "", "unknown"),
        ("rejected", "", "rejected"),
        ("rejected", "same_items", None),
        ("expired", "approval", None),
        ("cancelled", "resolved", None),
        ("interrupted", "crash", None),
    ],
)
def test_objection_is_about_the_plan_and_not_about_the_hour(state: str, reason: str, expected: str | None) -> None:
    assert objection_to(run(1, state, reason)) == expected


def test_alert_counts_once_and_is_clean_only_if_each_of_its_plans_is() -> None:
    plans = [run(1), run(2), run(3, "shadow", "max_items", episode=2), run(4, episode=2), run(5, "cancelled")]
    assert plan_record(plans, SHADOW, {}) == PlanRecord(plans=2, clean=1, objections={"max_items": 1})


def test_plan_under_other_limits_does_not_count() -> None:
    larger = json.dumps(values_as_json(SHADOW.model_copy(update={"max_items": 50})))
    slower = json.dumps(values_as_json(SHADOW.model_copy(update={"max_runs_per_hour": 1})))
    plans = [run(1, settings=larger), run(2, settings=slower), run(3, "failed", settings=None)]
    assert plan_record(plans, SHADOW, {}) == PlanRecord(2, 1, {"failed": 1}, outdated=1)


def test_alert_that_goes_right_after_its_plan_counts_as_soon_over() -> None:
    minute = 60_000_000
    plans = [run(1, created_at=5 * minute), run(2, created_at=5 * minute), run(3)]
    assert plan_record(plans, SHADOW, {1: 7 * minute, 2: 7 * minute + 1}).soon_over == 1


@pytest.fixture
def remediation(tmp_path: Path) -> Remediation:
    return FolderRemediation(tmp_path).remediation()


def verdict(
    remediation: Remediation, record: PlanRecord, mode: str = "shadow", *, broken: bool = False, **settings: Any
) -> tuple[Answer, Answer]:
    chosen = RemediationSettings.model_validate({"mode": mode, **settings})
    found = readiness("shop", remediation, chosen, record, has_open_breaker=broken)
    return found.approve, found.auto


@pytest.mark.parametrize(
    ("record", "approve", "auto"),
    [
        (PlanRecord(), "no: no plans, 5 are needed", "no: no plans, 20 are needed"),
        (PlanRecord(1, 1), "no: 1 plan, 5 are needed", "no: 1 plan, 20 are needed"),
        (PlanRecord(5, 5), "yes: 5 of 5 plans are clean", "no: 5 plans, 20 are needed"),
        (
            PlanRecord(5, 4, {"max_items": 1}),
            "no: the lower bound of the share of clean plans is 37.6%, 50% is needed; max_items: 1 of 5",
            "no: 5 plans, 20 are needed; max_items: 1 of 5",
        ),
        (PlanRecord(20, 20), "yes: 20 of 20 plans are clean", "yes: 20 of 20 plans are clean"),
        (
            PlanRecord(20, 19, {"failed": 1}),
            "yes: 19 of 20 plans are clean",
            "no: the lower bound of the share of clean plans is 76.4%, 80% is needed; failed: 1 of 20",
        ),
        (
            PlanRecord(24, 23, {"failed": 1}),
            "yes: 23 of 24 plans are clean",
            "no: the lower bound of the share of clean plans is 79.8%, 80% is needed; failed: 1 of 24",
        ),
        (PlanRecord(25, 24, {"failed": 1}), "yes: 24 of 25 plans are clean", "yes: 24 of 25 plans are clean"),
        (
            PlanRecord(20, 20, soon_over=10),
            "yes: 20 of 20 plans are clean",
            "no: 10 of 20 alerts were over within 2m of the plan without it: set min_firing",
        ),
    ],
)
def test_verdict_names_each_reason(remediation: Remediation, record: PlanRecord, approve: str, auto: str) -> None:
    words = [f"{each.ready}: {'; '.join(each.because)}" for each in verdict(remediation, record)]
    assert words == [approve, auto]


def test_open_breaker_is_a_no_for_both(remediation: Remediation) -> None:
    answers = verdict(remediation, PlanRecord(50, 50), broken=True)
    assert answers == (Answer(Ready.NO, ("a breaker is open",)), Answer(Ready.NO, ("a breaker is open",)))


@pytest.mark.parametrize("mode", ["off", "shadow", "approve"])
def test_remediation_that_is_never_automatic_is_never_ready_for_it(remediation: Remediation, mode: str) -> None:
    _, auto = verdict(replace(remediation, never_auto=True), PlanRecord(1_000, 1_000), mode)
    assert auto == Answer(Ready.NEVER, ("clear_folder always needs an operator's yes",))


def test_setting_that_auto_needs_is_named(remediation: Remediation) -> None:
    needy = replace(remediation, auto_needs=frozenset({"only_in"}))
    assert verdict(needy, PlanRecord(20, 20))[1] == Answer(Ready.NO, ("mode auto needs only_in",))
    assert verdict(needy, PlanRecord(20, 20), only_in="night")[1].ready is Ready.YES


def test_mode_that_is_set_is_named_and_not_advised(remediation: Remediation) -> None:
    approve, auto = verdict(remediation, PlanRecord(), "approve")
    assert (approve.ready, auto.ready) == (Ready.ALREADY, Ready.NO)
    approve, auto = verdict(remediation, PlanRecord(), "auto")
    assert (approve.ready, auto.ready) == (Ready.ALREADY, Ready.ALREADY)
