"""The numbers that the bounds judge, each beside its limit: for programs, and for the gauges of a run."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from remediator.bounds.bounds import Decision
from remediator.bounds.facts import BoundFacts
from remediator.model.clock import rfc3339


def numbers_of(facts: BoundFacts) -> Mapping[str, Any]:
    """Return each judged number beside its limit; null is no limit, or unknown."""
    settings, alert, plan, history = facts.settings, facts.alert, facts.plan, facts.history
    return {
        "items": {"found": plan.found, "max_items": plan.max_items, "batch": settings.batch},
        "share": {"found": plan.found, "of": plan.population, "max_share": settings.max_share},
        "runs_last_hour": {
            "remediation": [len(history.remediation_admissions), settings.max_runs_per_hour],
            "stack": [len(history.stack_admissions), facts.stack_limits.max_runs_per_hour],
            "all": [len(history.all_admissions), facts.limits.max_runs_per_hour],
        },
        "under_way": {
            "stack": [history.active_stack, facts.stack_limits.concurrency],
            "all": [history.active, facts.limits.concurrency],
        },
        "storm": {
            "alerts": [facts.storm.alerts, facts.limits.storm.alerts],
            "targets": [facts.storm.targets, facts.limits.storm.targets],
        },
        "firing_seconds": _seconds(facts.now - alert.firing_since),
        "min_firing_seconds": settings.min_firing.total_seconds(),
        "confirmed_seconds_ago": _seconds(facts.now - alert.confirmed_at),
        "max_alert_age_seconds": facts.max_alert_age.total_seconds(),
        "last_run_ended_at": rfc3339(history.last_admitted_end),
        "cooldown_seconds": settings.cooldown.total_seconds(),
    }


def judged_evidence(decision: Decision, facts: BoundFacts) -> Mapping[str, Any]:
    """Return what a decision passed and its numbers, for the evidence of the run beside the bounds that stopped it."""
    passed = {name: each.detail for name, each in decision.judgements.items() if not each.stops}
    return {"at": rfc3339(facts.now), "passed": passed, "numbers": numbers_of(facts)}


def _seconds(span: timedelta) -> float:
    return round(span.total_seconds(), 3)
