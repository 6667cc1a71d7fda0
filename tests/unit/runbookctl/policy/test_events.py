"""Each event of a case happens as it would to the live remediator, and one that cannot happen fails the case."""

from collections.abc import Callable
from typing import Any

import pytest

IDLE = """\
    alerts:
      - {alert: Idle, remediation: terminate_idle_transactions, target: main}
    plans:
      - {remediation: terminate_idle_transactions, items: 3}
"""
FAILED = """\
    alerts:
      - {alert: Failed, remediation: retry_failed_jobs, target: jobs, queue: mail}
    plans:
      - {remediation: retry_failed_jobs, items: 1}
"""
RESTART = """\
    alerts:
      - {alert: Down, remediation: restart_service, target: api}
    plans:
      - {remediation: restart_service, items: 1}
"""
NOT_READ = """\
    alerts:
      - {alert: Idle, remediation: terminate_idle_transactions, target: main}
    plans:
      - {remediation: terminate_idle_transactions, items: 3, EXTRA}
"""
Failures = Callable[[str], list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("story", "rest"),
    [
        (
            IDLE,
            """\
    events:
      - {at: 0s, pause: {for: 5m, stack: shop, reason: looking}}
    expect:
      - {at: 4m, runs: [{state: refused, reason: kill_switch, says: {kill_switch: looking}}], touched: 0}
""",
        ),
        (
            IDLE,
            """\
    events:
      - {at: 0s, pause: }
      - {at: 3m, resume: }
    expect:
      - {at: 13m, runs: [{state: refused, reason: kill_switch}, {state: succeeded}], touched: 3}
""",
        ),
        (
            IDLE.replace("target: main}", "target: main, from: 20s}"),
            """\
    events:
      - {at: 1s, ledger_out: {for: 1m}}
      - {at: 5s, crash: {for: 10s}}
    expect:
      - {at: 55s, runs: []}
      - {at: 3m, runs: [{state: succeeded}]}
""",
        ),
        (FAILED, "    events: [{at: 1m, approve: }]\n    expect: [{at: 2m, runs: [{state: succeeded}]}]\n"),
        (
            FAILED,
            "    events: [{at: 1m, reject: {by: dba, run: 1}}]\n"
            "    expect: [{at: 2m, runs: [{state: rejected, reason: by dba}]}]\n",
        ),
        (
            IDLE,
            "    freezes: [{to: 30m}]\n    events: [{at: 1m, acknowledge: {for: 10m}}]\n"
            "    expect:\n      - {at: 2m, episodes: [{acknowledged_by: oncall, ladder: [first]}]}\n"
            "      - {at: 12m, episodes: [{acknowledged_by: ''}]}\n",
        ),
        (
            NOT_READ.replace("EXTRA", "effect: does_nothing"),
            "    events: [{at: 20m, close_breaker: {}}]\n"
            "    expect:\n      - {at: 3m, runs: [{state: ineffective}], breakers: [{target: main}]}\n"
            "      - {at: 21m, breakers: []}\n",
        ),
        (
            RESTART,
            "    events: [{at: 0s, deploy: {version: v7}}]\n"
            "    expect: [{at: 1m, runs: [{reason: deploy, state: refused, says: {deploy: v7}}]}]\n",
        ),
        (
            RESTART.split("    plans")[0].replace("target: api", "target: api, from: 20m")
            + RESTART[RESTART.index("    plans") :],
            "    events: [{at: 1m, start: {remediation: restart_service, target: api, by: dba}}]\n"
            "    expect: [{at: 2m, runs: [{state: succeeded, trigger: operator, approved_by: dba}]}]\n",
        ),
        (
            IDLE,
            "    set: {stacks.shop.remediations.terminate_idle_transactions.max_items: 2}\n"
            "    events: [{at: 1m, reload: {stacks.shop.remediations.terminate_idle_transactions.max_items: 3}}]\n"
            "    expect: [{at: 13m, runs: [{state: refused, reason: max_items}, {state: succeeded}]}]\n",
        ),
        (
            NOT_READ.replace("EXTRA", "takes: 10s, after_a_crash: unknown"),
            "    events: [{at: 5s, crash: {for: 1m}}]\n"
            "    expect: [{at: 2m, runs: [{state: unknown, items: {unknown: 1, planned: 2}}], touched: 1}]\n",
        ),
        (
            IDLE,
            "    events: [{at: 0s, ledger_out: {for: 5m}}]\n"
            "    expect:\n      - {at: 4m, runs: [], touched: 0}\n      - {at: 6m, runs: [{state: succeeded}]}\n",
        ),
        (
            IDLE,
            "    set: {stacks.shop.remediations.terminate_idle_transactions.block_on: [Down]}\n"
            "    events: [{at: 0s, alertmanager_out: {for: 5m}}]\n"
            "    expect:\n      - {at: 4m, runs: [{state: deferred, reason: alertmanager_unreadable}]}\n"
            "      - {at: 8m, runs: [{state: succeeded}]}\n",
        ),
        (
            NOT_READ.replace("EXTRA", "unreachable: true"),
            "    expect: [{at: 1m, runs: [{state: failed, reason: target_unreachable}]}]\n",
        ),
        (NOT_READ.replace("EXTRA", "effect: fails"), "    expect: [{at: 1m, runs: [{state: failed}], touched: 0}]\n"),
        (
            IDLE.replace("target: main", "target: main, to: 2m, resolves: false"),
            "    expect: [{at: 20m, episodes: [{state: vanished}]}]\n",
        ),
        (
            IDLE,
            "    freezes: [{from: 0s, to: 10m, reason: peak}]\n"
            "    expect: [{at: 1m, runs: [{state: refused, says: {freeze: peak}}]}]\n",
        ),
    ],
    ids=lambda text: text.strip().split("\n")[0][:40],
)
def test_an_event_has_its_consequence(failures: Failures, story: str, rest: str) -> None:
    assert failures(story + rest) == []


@pytest.mark.parametrize(
    ("event", "expected", "got"),
    [
        ("approve: ", "one run that awaits an approval", "none"),
        ("approve: {run: 1}", "approve is accepted", "refused: run 1 is succeeded, not awaiting_approval"),
        ("reject: {run: 9}", "reject is accepted", "refused: there is no run 9"),
        ("close_breaker: ", "one open breaker", "none"),
        (
            "acknowledge: {episode: 3}",
            "acknowledge is accepted",
            "refused: there is no episode 3; `runbookctl episodes --all` lists them",
        ),
    ],
)
def test_an_event_that_cannot_happen_fails_the_case(failures: Failures, event: str, expected: str, got: str) -> None:
    body = f"{IDLE}    events:\n      - {{at: 1m, {event}}}\n    expect: [{{at: 2m, touched: 3}}]\n"
    found = [(each["at"], each["expected"], each["got"], each["place"]) for each in failures(body)]
    assert found == [("1m", expected, got, "cases.yml:9")]


def test_two_cases_share_nothing(failures: Failures) -> None:
    items = "{applied: [{item: 1}, {item: 2}, {item: 3}]}"
    body = f"{IDLE}    expect: [{{at: 1m, runs: [{{state: succeeded, items: {items}}}]}}]\n"
    assert failures(body) == failures(body) == []
