"""The state of a quantity for the boards agrees with the alerts about which side of a limit is bad."""

import re

from grafana.checks import CHECKS
from tests.rules.rulebook import RULES, alerts, rules_of

STATE = {str(rule.record): rule.expr for rule in rules_of(RULES / "state.yml")}
COMPARED = re.compile(r"([<>])=? on \([^)]*\)\s*(?:group_left \([^)]*\)\s*)?runbook:(\w+):(?:critical|warning|info)")
IN_NO_LIST = {
    "application_rollback_error_ratio": "the error ratio again, for another limit",
    "application_error_ratio_rise": "a rise is watched after a deploy, not every morning",
    "application_response_p95_rise_ratio": "a rise is watched after a deploy, not every morning",
    "application_request_rise_ratio": "requests per second are in the list",
    "application_pool_waiting_requests": "it lasts seconds; its alert is the check",
    "application_rate_limiting_enabled": "a switch; its alert is the check",
    "application_maintenance_mode": "a switch; its alert is the check",
    "host_oom_kills": "an event; its alert is the check",
    "pg_blocked_max_age_seconds": "it lasts seconds; its alert is the check",
    "redis_maxmemory_policy_noeviction": "a setting; its alert is the check",
    "redis_rdb_last_bgsave_status": "an event; the age of unsaved changes is in the list",
    "redis_rejected_connections": "an event; its alert is the check",
    "bullmq_queue_active_unlocked_jobs": "it lasts seconds; its alert is the check",
}
"""Judged quantities that no line of a morning list asks for, with the reason."""


def _bad_side() -> dict[str, set[str]]:
    """Return the quantities of the alerts by the comparison with their limit; a condition after it does not count."""
    sides: dict[str, set[str]] = {"<": set(), ">": set()}
    for alert in alerts():
        if found := COMPARED.search(" ".join(alert.expr.split())):
            sides[found[1]].add(found[2])
    return sides


def _named(record: str) -> set[str]:
    """Return the quantities that a rule of the states names, without the services, which count as the application."""
    (names,) = {tuple(found.split("|")) for found in re.findall(r":\(([a-z0-9_|]{40,})\)", STATE[record])}
    return {name for name in names if not name.startswith("service_")}


def test_every_rule_names_the_quantities_of_which_low_is_bad() -> None:
    low = _bad_side()["<"]
    assert len(low) > 10
    outside_of_recording_rules = {"backup_encrypted"}
    assert _named("stack_quantity_kind_severity:limit:group") == low
    assert _named("stack_quantity_kind:lowest:group") == low - outside_of_recording_rules
    assert _named("stack_quantity_kind:highest:group") == low - outside_of_recording_rules
    assert low & _bad_side()[">"] == set()


def test_limits_that_count_when_they_are_reached_are_those_of_the_alerts() -> None:
    reached = re.compile(r"[<>]= on \([^)]*\) group_left \([^)]*\) runbook:(\w+):(critical|warning|info)")
    of_alerts = {pair for alert in alerts() for pair in reached.findall(" ".join(alert.expr.split()))}
    named = re.compile(r'\{quantity="(\w+)"\} >= [^{]*\{severity="(\w+)"\}')
    assert (
        of_alerts == set(named.findall(" ".join(STATE["stack_quantity_kind_severity:passed:group"].split()))) != set()
    )


def test_every_judged_quantity_is_in_a_list_or_has_a_reason_not_to_be() -> None:
    judged = _bad_side()["<"] | _bad_side()[">"]
    listed = [check.quantity for check in CHECKS]
    assert len(listed) == len(set(listed))
    unlisted = judged - set(listed)
    assert unlisted == set(IN_NO_LIST), "add a Check to grafana/checks.py and run make dashboards, or a reason above"
    assert set(listed) - judged <= {"application_requests_per_second", "application_active_users"}
