"""A mistake in a file of cases is reported with its line and the nearest name; such a file proves nothing."""

import json
from pathlib import Path

import pytest

from tests.unit.runbookctl.policy.conftest import Play

GOOD = """\
inventory: inventory.yml
set:
  stacks.shop.remediations.terminate_idle_transactions.cooldown: 5m
cases:
  - name: two sessions are ended
    alerts:
      - {alert: Idle, remediation: terminate_idle_transactions, target: main, to: 5m}
      - {alert: Failed, remediation: retry_failed_jobs, target: jobs, queue: mail}
    plans:
      - {remediation: terminate_idle_transactions, items: 2}
      - {remediation: retry_failed_jobs, target: jobs, queue: mail, items: 1}
    events:
      - {at: 1m, approve: {by: oncall}}
      - {at: 2m, pause: {for: 1m}}
    expect:
      - at: 30s
        runs:
          - {state: succeeded, remediation: terminate_idle_transactions, target: main, items: {applied: 2}}
          - {state: awaiting_approval, says: {cooldown: no run before}, refused_by: []}
        messages: [{to: [chat]}]
      - at: 3m
        heard: {chat: 1, leads: 0}
        episodes: [{ladder: []}, {ladder: [first]}]
  - name: nothing happens
    expect: [{at: 1s, runs: []}]
"""


def problems(play: Play, folder: Path, text: str, *options: str) -> list[str]:
    result = play(text, "--output", "json", *options)
    assert result.exit_code == 2, result.output
    [file] = json.loads(result.output)["files"]
    assert not file["cases"], "no case of an unusable file is played"
    return [": ".join(filter(None, each.values())).replace(f"{folder}/", "") for each in file["problems"]]


def test_the_file_without_a_mistake_passes(play: Play) -> None:
    result = play(GOOD)
    assert result.exit_code == 0, result.output
    assert "2 of 2 cases passed" in result.output


def test_list_whose_only_entry_is_wrong_is_not_called_empty_as_well(play: Play, tmp_path: Path) -> None:
    found = problems(play, tmp_path, GOOD.replace("[{at: 1s, runs: []}]", "[{at: 1s, rnus: []}]"))
    assert [each.rpartition(": ")[2] for each in found] == ["unknown key; did you mean 'runs'?"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    alerts:", "    alert:", "cases.yml:6: cases.0.alert: unknown key; did you mean 'alerts'?"),
        ("items: 2}\n", "itms: 2}\n", "cases.yml:10: cases.0.plans.0.itms: unknown key; did you mean 'items'?"),
        (
            "{alert: Idle, remediation: terminate_idle_transactions,",
            "{alert: Idle, remediation: terminate_idle_transaction,",
            "cases.yml:7: cases.0.alerts.0.remediation: there is no remediation 'terminate_idle_transaction'; "
            "did you mean 'terminate_idle_transactions'?",
        ),
        (
            "target: main, to: 5m",
            "target: mian, to: 5m",
            "cases.yml:7: cases.0.alerts.0.target: stack shop has no postgres target 'mian'; did you mean 'main'?",
        ),
        (
            "queue: mail}\n    plans",
            "queue: mial}\n    plans",
            "cases.yml:8: cases.0.alerts.1.queue: shop/queues/jobs does not list the queue 'mial'; did you mean 'mail'",
        ),
        (
            "{alert: Idle,",
            "{alert: Idle, stack: shp,",
            "cases.yml:7: cases.0.alerts.0.stack: the inventory has no stack 'shp'; did you mean 'shop'?",
        ),
        (
            "      - {remediation: retry_failed_jobs, target: jobs, queue: mail, items: 1}\n",
            "",
            "cases.yml:8: cases.0.alerts.1: `plans` has no entry for retry_failed_jobs on shop/queues/jobs/mail at 0s; "
            "add how many items it finds, as `items: 3`",
        ),
        (
            "    plans:",
            "      - {alert: Idle, remediation: terminate_idle_transactions, target: main, from: 4m}\n    plans:",
            "cases.yml:9: cases.0.alerts.2: begins before the same one ends at 5m; join the two entries",
        ),
        (
            "{at: 2m, pause: {for: 1m}}",
            "{at: 2m, crash: {for: 1m}}\n      - {at: 150s, crash: }",
            "cases.yml:15: cases.0.events.2: begins before the same one ends at 3m; join the two entries",
        ),
        ("to: 5m", "to: 0s", "cases.yml:7: cases.0.alerts.0: `to` must be after `from`"),
        ("at: 2m, pause", "at: 30s, pause", "cases.yml:14: cases.0.events.1.at: 30s comes after 1m; put them in order"),
        (
            "      - at: 3m",
            "      - at: 10s",
            "cases.yml:21: cases.0.expect.1.at: 10s comes after 30s; put them in order",
        ),
        ("      - at: 3m", "      - at: 30s", "cases.yml:21: cases.0.expect.1.at: 30s is there already; join the two"),
        ("at: 30s", "at: 30", "cases.yml:16: cases.0.expect.0.at: a duration needs a unit: write 30s, not 30"),
        ("at: 30s", "at: 99d", "cases.yml:16: cases.0.expect.0.at: is too late; a case lasts at most 31d"),
        ("nothing happens", "two sessions are ended", "cases.yml:24: cases.1.name: another case has the name"),
        ("state: succeeded", "state: success", "cases.yml:18: cases.0.expect.0.runs.0.state: must be 'planned', "),
        ("{applied: 2}", "{aplied: 2}", "cases.0.expect.0.runs.0.items.aplied: there is no state of an item 'aplied'"),
        ("says: {cooldown", "says: {coldown", "there is no bound 'coldown'; did you mean 'cooldown'?"),
        (
            "refused_by: []",
            "refused_by: [max_itmes]",
            "runs.1.refused_by.0: there is no bound 'max_itmes'; did you mean",
        ),
        ("to: [chat]", "to: [chta]", "messages.0.to.0: there is no contact 'chta'; did you mean 'chat'?"),
        ("leads: 0", "lead: 0", "cases.0.expect.1.heard.lead: there is no contact 'lead'; did you mean 'leads'?"),
        ("[first]", "[frist]", "episodes.1.ladder.0: there is no step 'frist'; did you mean 'first'?"),
        ("by: oncall", "by: oncal", "cases.0.events.0.approve.by: the inventory has no operator 'oncal'; did you mean"),
        ("pause: {for: 1m}", "pause: {for: 1m}, resume: {}", "cases.0.events.1: needs exactly one key beside `at`"),
        ("items: 2}\n", "items: -1}\n", "cases.0.plans.0.items: must be a number from 0 to 10000, or a list of items"),
        (
            "items: 2}\n",
            "items: [a, a]}\n",
            "cases.0.plans.0.items: lists an item twice; each item has its own identity",
        ),
        (
            "items: 2}\n",
            "items: [[1]]}\n",
            "cases.0.plans.0.items: an item is a name, or a map of keys to texts and numbers",
        ),
        ("[{at: 1s, runs: []}]", "[{at: 1s}]", "cases.yml:25: cases.1.expect.0: expects nothing; add runs, "),
        ("[{at: 1s, runs: []}]", "[]", "cases.yml:25: cases.1.expect: must not be empty"),
        (
            "cooldown: 5m",
            "cooldown: fast",
            "cases.yml:3: stacks.shop.remediations.terminate_idle_transactions.cooldown: ",
        ),
        (
            "cooldown: 5m",
            "older_then: 5m",
            "cases.yml:3: stacks.shop.remediations.terminate_idle_transactions.older_then: ",
        ),
        (
            "terminate_idle_transactions.cooldown: 5m",
            "terminate_idle_transactions.ends_after: 5m",
            "cases.yml:3: stacks.shop.remediations.terminate_idle_transactions.ends_after: has no effect on",
        ),
        (
            "terminate_idle_transactions.cooldown: 5m",
            "terminate_idle_transaction.cooldown: 5m",
            "cases.yml:3: stacks.shop.remediations.terminate_idle_transaction: there is no such remediation",
        ),
        ("stacks.shop.remediations.terminate_idle_transactions.cooldown", "limit.x", "cases.yml:3: limit: unknown key"),
        (
            "target: main, to: 5m",
            "target: main, labels: {target: spare}",
            "cases.yml:7: cases.0.alerts.0.labels: has target, whose name would not be checked",
        ),
        ("inventory.yml", "inventry.yml", "cases.yml:1: inventory: there is no file inventry.yml; name the inventory"),
        ("inventory.yml", "x" * 300, "cases.yml:1: inventory: there is no file "),
        ("  - name: nothing happens\n", "  - start: 2026-03-02T12:00:00\n", "cases.1.name: is missing; add it"),
        ("  - name: nothing happens\n", "  - name: x\n    start: noon\n", "cases.1.start: must be a moment such as"),
    ],
)
def test_a_mistake_is_reported_with_its_line(play: Play, tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    found = problems(play, tmp_path, GOOD.replace(old, new, 1))
    assert any(expected in each for each in found), found


@pytest.mark.parametrize(
    "expectation",
    ["runs: ", "messages: ", "touched: ", "heard: ", "heard: {}", "messages: [{says: []}]", "episodes: [{ladder: }]"]
    + [f"runs: [{{state: shadow, {key}: }}]" for key in ("items", "says", "numbers", "refused_by", "target")]
    + [f"runs: [{{state: shadow, {key}: {{}}}}]" for key in ("says", "numbers")],
)
def test_expectation_that_compares_nothing_is_refused(play: Play, tmp_path: Path, expectation: str) -> None:
    [found] = problems(play, tmp_path, GOOD.replace("[{at: 1s, runs: []}]", f"[{{at: 1s, {expectation}}}]"))
    assert found.startswith("cases.yml:25: cases.1.expect.0.")
    assert found.endswith(("write [] for an empty list, or remove it", "must not be empty")), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["cases.yml: inventory: is missing; add it", "cases.yml: cases: is missing; add it"]),
        ("inventory: inventory.yml\ncases: []\n", ["cases.yml:2: cases: must not be empty"]),
        ("- a\n", ["cases.yml:1: must be a map of keys"]),
        ("inventory: [\n", ["cases.yml:2: is not valid YAML: expected the node content, but found '<stream end>'"]),
    ],
)
def test_an_empty_or_broken_file_is_unusable(play: Play, tmp_path: Path, text: str, expected: list[str]) -> None:
    assert problems(play, tmp_path, text) == expected


def test_a_missing_file_is_unusable_and_the_other_files_are_played(play: Play, tmp_path: Path) -> None:
    result = play(GOOD, str(tmp_path / "nowhere.yml"))
    assert result.exit_code == 2
    assert f"{tmp_path}/nowhere.yml: cannot read the file: No such file or directory" in result.output
    assert "cases.yml: 2 of 2 cases passed" in result.output
    assert "2 passed, 0 failed, 1 of 2 files cannot be used" in result.output


def test_a_mistake_of_the_inventory_is_reported_once_with_its_place(play: Play, tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text("stacks:\n  shop:\n    postgress: {}\n")
    found = problems(play, tmp_path, GOOD, "--config.file", str(tmp_path / "broken.yml"))
    assert "broken.yml:3: stacks.shop.postgress: unknown key; did you mean 'postgres'?" in found
    assert len(found) == len(set(found))


def test_with_several_stacks_an_alert_has_to_name_its_own(play: Play, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(inventory.read_text() + "  other: {}\n")
    found = problems(play, tmp_path, GOOD)
    assert "cases.yml:7: cases.0.alerts.0: names no stack, and the inventory has other, shop; set stack" in found


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--set", "stacks.shop", "write PATH=VALUE"),
        ("--run", "(", "is not a regular expression"),
        ("--run", "no such case", "no case matches --run 'no such case'"),
    ],
)
def test_wrong_options_are_named(play: Play, option: str, value: str, expected: str) -> None:
    result = play(GOOD, option, value)
    assert expected in str(result.exception)
    assert type(result.exception).__name__ == "WrongUsage"


def test_set_of_a_stack_that_does_not_exist_is_refused(play: Play, tmp_path: Path) -> None:
    key = "stacks.shp.remediations.retry_failed_jobs.batch"
    expected = f"{key}: the inventory has no stack 'shp'; did you mean 'shop'?"
    assert problems(play, tmp_path, GOOD, "--set", f"{key}=2") == [f"--set {key}: {expected}"]
    text = GOOD.replace("stacks.shop.remediations.terminate_idle_transactions.cooldown: 5m", f"{key}: 2")
    assert problems(play, tmp_path, text) == [f"cases.yml:3: {expected}"]


def test_unknown_key_of_set_is_reported_with_the_nearest(play: Play, tmp_path: Path) -> None:
    found = problems(play, tmp_path, GOOD, "--set", "limits.concurency=2")
    assert "--set limits.concurency: limits.concurency: unknown key; did you mean 'concurrency'?" in found
