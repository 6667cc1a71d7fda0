"""SIGKILL before and after each commit and effect: the next process finds the outcome and repeats no effect."""

from pathlib import Path

import pytest

from remediator.model.run_state import ENDED, RunState
from tests.invariants.crashing import FAR_BEYOND, SCENARIOS, crash_and_recover

# Chosen by hand for the quick test: each kind of point, before and after, in the scenarios that have it.
SHORT = [
    *(("fixed", number) for number in (2, 3, 4, 5, 6, *range(23, 33))),
    *(("in one effect", number) for number in (29, 30)),
    *(("approved", number) for number in (26, 28)),
    ("deferred", 26),
    *(("started", number) for number in (3, 4, 5, 6, 24, 27, 28, 39, 40)),
]


def points_of(lines: list[str]) -> list[str]:
    """Return the points of a process that did not crash."""
    return [line for line in lines if line.startswith(("before ", "after "))]


@pytest.mark.parametrize(("scenario", "die_at"), SHORT)
def test_ledger_is_correct_after_a_crash(tmp_path: Path, scenario: str, die_at: int) -> None:
    """Invariants 1, 5, 6, 13, 21 at one point each; `make soak` tests every point of every scenario."""
    lines = crash_and_recover(tmp_path, scenario, [die_at])
    assert "life 1" in lines


def test_chosen_crash_points_surround_each_state(tmp_path: Path) -> None:
    """The points are numbers, so this detects when they have moved."""
    lines = points_of(crash_and_recover(tmp_path, "fixed", []))
    chosen = {lines[number - 1] for name, number in SHORT if name == "fixed"}
    for event in ("planned", "prechecked+admitted", "executing+intended", "settled"):
        assert {f"before commit of {event}", f"after commit of {event}"} <= chosen, event
    assert {"before effect on a", "after effect on a", "before acceptance", "after acceptance"} <= chosen


def test_chosen_crash_points_surround_question_and_confirmation(tmp_path: Path) -> None:
    lines = points_of(crash_and_recover(tmp_path, "started", []))
    chosen = [lines[number - 1] for name, number in SHORT if name == "started"]
    assert chosen[:2] == ["before commit of ", "after commit of "], "a question is no transition"
    for event in ("episode_opened+planned+confirmed", "succeeded+episode_finished"):
        assert {f"before commit of {event}", f"after commit of {event}"} <= set(chosen), event
    assert {"before effect on a", "after effect on a"} <= set(chosen)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_ledger_is_correct_after_a_crash_at_every_point(tmp_path: Path, scenario: str) -> None:
    whole = points_of(crash_and_recover(_folder(tmp_path, "whole"), scenario, [FAR_BEYOND]))
    for die_at in range(1, len(whole) + 1):
        crash_and_recover(_folder(tmp_path, f"at{die_at}"), scenario, [die_at])
        crash_and_recover(_folder(tmp_path, f"twice{die_at}"), scenario, [die_at, 1 + die_at * 7 % len(whole)])


@pytest.mark.soak
def test_scenarios_reach_every_final_state(tmp_path: Path) -> None:
    """`unknown` needs a failing query or a missing target; tests/unit/remediator covers it."""
    ends = set()
    for name in SCENARIOS:
        lines = crash_and_recover(_folder(tmp_path, name), name, [])
        ends |= {end for end in ENDED for line in lines if end in line}
    assert ends == ENDED - {RunState.UNKNOWN}


def _folder(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder
