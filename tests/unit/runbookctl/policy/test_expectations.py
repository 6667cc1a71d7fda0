"""What a case expects and does not find is reported with its line, what it expects, and what there is."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from runbookctl.policy.comparison import differences
from runbookctl.policy.observation import Observation
from runbookctl.policy.player import play as played
from runbookctl.policy.suite import ReadyCase, read_suite
from runbookd.inventory.yaml_places import dotted
from tests.unit.runbookctl.policy.conftest import INVENTORY, Play, case

# One run ends as it should, one is refused, and one waits for an answer.
STORY = """\
    alerts:
      - {alert: Idle, remediation: terminate_idle_transactions, target: main, to: 5m}
      - {alert: Idle, remediation: terminate_idle_transactions, target: spare, from: 1m}
      - {alert: Failed, remediation: retry_failed_jobs, target: jobs, queue: mail, from: 2m, labels: {priority: P3}}
    plans:
      - {remediation: terminate_idle_transactions, target: main, items: [{pid: 7}, {pid: 8}]}
      - {remediation: terminate_idle_transactions, target: spare, items: 11, of: 20}
      - {remediation: retry_failed_jobs, items: 3}
    events:
      - {at: 3m, acknowledge: {episode: 2, by: dba}}
    expect:
      - at: 10m
"""
TRUE = """\
        runs:
          - {target: main, state: succeeded, reason: "", items: {applied: [{pid: 8}, {pid: 7}]}, approved_by: ""}
          - state: refused
            reason: max_items
            target: shop/postgres/spare
            trigger: alert
            found: 11
            refused_by: [max_items]
            deferred_by: []
            says: {max_items: found 11, cooldown: no run before}
            numbers: {items: {found: 11, max_items: 10, batch: null}, share: {of: 20}}
          - {stack: shop, remediation: retry_failed_jobs, queue: mail, state: awaiting_approval, items: {planned: 2}}
        touched: 2
        episodes:
          - {target: main, state: resolved, ladder: [], alerts: [Idle]}
          - {target: spare, state: open, ladder: [first], acknowledged_by: dba}
          - {remediation: retry_failed_jobs, ladder: [first], acknowledged_by: ""}
        messages:
          - {to: [chat], title: "refused (max_items)", says: [found 11], severity: warning}
          - {title: awaiting_approval}
          - {title: acknowledged by dba}
        heard: {chat: 3, leads: 0}
        breakers: []
"""
Failures = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Observation:
    """Play the story once, and return what it shows."""
    [ready] = ready_cases(tmp_path_factory.mktemp("story"), case(STORY + "        touched: 999\n"))
    [failure] = played(ready).failures
    return failure.seen


def ready_cases(folder: Path, text: str) -> Sequence[ReadyCase]:
    (folder / "inventory.yml").write_text(INVENTORY)
    (folder / "cases.yml").write_text(text)
    return read_suite(folder / "cases.yml")


def test_a_true_expectation_passes(failures: Failures) -> None:
    assert failures(STORY + TRUE) == []


@pytest.mark.parametrize(
    ("old", "new", "path", "expected", "got"),
    [
        ("state: succeeded", "state: shadow", "runs.0.state", "shadow", "succeeded"),
        ("target: main, state: s", "target: spare, state: s", "runs.0.target", "spare", "shop/postgres/main"),
        (
            "{pid: 8}, {pid: 7}",
            "{pid: 8}, {pid: 9}",
            "runs.0.items.applied",
            "{'pid': 8}, {'pid': 9}",
            "{'pid': 7}, {'pid': 8}",
        ),
        ("reason: max_items", "reason: max_share", "runs.1.reason", "max_share", "max_items"),
        ("trigger: alert", "trigger: operator", "runs.1.trigger", "operator", "alert"),
        ("found: 11\n", "found: 12\n", "runs.1.found", "12", "11"),
        (
            "refused_by: [max_items]",
            "refused_by: []",
            "runs.1.refused_by",
            "none",
            "max_items: found 11, max_items is 10",
        ),
        ("deferred_by: []", "deferred_by: [rate]", "runs.1.deferred_by", "rate", "none"),
        (
            "says: {max_items: found 11,",
            "says: {max_items: found 12,",
            "runs.1.says.max_items",
            "a sentence with 'found 12'",
            "found 11, max_items is 10",
        ),
        ("found: 11, max_items: 10", "found: 11, max_items: 9", "runs.1.numbers.items.max_items", "9", "10"),
        (
            "share: {of: 20}",
            "share: {from: 20}",
            "runs.1.numbers.share.from",
            "20",
            "no such number; there is found, of, max_share",
        ),
        ("queue: mail", "queue: sms", "runs.2.queue", "sms", "mail"),
        ("{planned: 2}", "{planned: 3}", "runs.2.items", "3 planned", "2 planned"),
        ("touched: 2", "touched: 0", "touched", "0", "2"),
        ("state: resolved", "state: vanished", "episodes.0.state", "vanished", "resolved"),
        ("alerts: [Idle]", "alerts: [Idle, Other]", "episodes.0.alerts", "Idle, Other", "Idle"),
        (
            "ladder: [first], acknowledged_by: dba",
            "ladder: [first, second]",
            "episodes.1.ladder",
            "first, second",
            "first",
        ),
        ("acknowledged_by: dba", "acknowledged_by: oncall", "episodes.1.acknowledged_by", "oncall", "dba"),
        ('acknowledged_by: ""', "acknowledged_by: dba", "episodes.2.acknowledged_by", "dba", "none"),
        ("to: [chat]", "to: [chat, leads]", "messages.0.to", "chat, leads", "chat"),
        (
            "title: awaiting_approval",
            "title: expired",
            "messages.1.title",
            "a title with 'expired'",
            "[shop] retry_failed_jobs on shop/queues/jobs/mail: awaiting_approval",
        ),
        ("severity: warning", "severity: critical", "messages.0.severity", "critical", "warning"),
        ("chat: 3", "chat: 4", "heard.chat", "4", "3"),
        ("breakers: []", "breakers: [{target: main}]", "breakers", "1 breaker", "no breakers"),
        (
            "          - {title: awaiting_approval}\n",
            "",
            "messages",
            "2 messages",
            "3 messages\n- to chat: [shop] terminate_idle",
        ),
        (
            "        touched: 2",
            "          - {state: refused}\n        touched: 2",
            "runs",
            "4 runs",
            "3 runs\n- terminate_idle_transactions on shop/postgres/main: succeeded; 2 applied\n- ",
        ),
    ],
)
def test_each_key_that_differs_is_named(
    seen: Observation, tmp_path: Path, old: str, new: str, path: str, expected: str, got: str
) -> None:
    assert TRUE.count(old) == 1, "the test changes one key"
    text = STORY + TRUE.replace(old, new)
    [ready] = ready_cases(tmp_path, case(text))
    [difference] = differences(ready.case.expect[0], seen)
    assert (dotted(difference.path), difference.expected) == (path, expected)
    assert difference.got.startswith(got)
    assert ready.place_of("expect", 0, *difference.path) == f"{tmp_path}/cases.yml:{_line_of(text, path)}"


def _line_of(text: str, path: str) -> int:
    """Return the line that was changed, or that of the list if one of its entries was added or taken out."""
    before, after = case(STORY + TRUE).splitlines(), case(text).splitlines()
    if len(before) != len(after):
        return 1 + after.index(f"        {path}:")
    return next(number for number, (one, other) in enumerate(zip(before, after, strict=True), 1) if one != other)


def test_the_text_shows_line_difference_and_what_happened(play: Play) -> None:
    result = play(case(STORY + TRUE.replace("touched: 2", "touched: 0"), name="nothing is touched"))
    assert result.exit_code == 1
    text = result.output.replace(str(result.output.split("cases.yml")[0].split()[-1]), "")
    assert text.startswith("FAILED cases.yml:3: nothing is touched\n")
    assert "cases.yml:28: at 10m: touched\n    expected: 0\n         got: 2\n" in text
    assert (
        "what happened until 10m:\n    run 1: terminate_idle_transactions on shop/postgres/main: succeeded; 2 applied"
        in text
    )
    assert "    message to chat: [shop] terminate_idle_transactions on shop/postgres/spare: refused (max_items)" in text
    assert text.endswith(" s)\n")
    assert "0 passed, 1 failed" in text


def test_an_expectation_at_an_earlier_moment_sees_only_what_was_by_then(failures: Failures) -> None:
    text = STORY.replace("at: 10m", "at: 30s") + "        runs: [{state: succeeded}]\n      - {at: 4m, runs: [{}]}\n"
    found = failures(text.replace("[{}]", "[{state: succeeded}]"))
    assert [(each["at"], each["expected"]) for each in found] == [("4m", "1 run")]


def test_run_leaves_the_other_cases_out(play: Play) -> None:
    text = case(STORY + TRUE, name="a story") + "  - {name: another, expect: [{at: 1s, touched: 1}]}\n"
    assert play(text).exit_code == 1
    result = play(text, "--run", "^a story$")
    assert result.exit_code == 0
    assert "1 of 1 cases passed, 1 left out" in result.output


def test_set_changes_the_policy_of_all_cases(play: Play) -> None:
    key = "stacks.shop.remediations.terminate_idle_transactions.max_items"
    result = play(case(STORY + TRUE), "--set", f"{key}=20")
    assert result.exit_code == 1
    assert "expected: refused (max_items)\n         got: succeeded" in result.output
