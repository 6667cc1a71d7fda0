"""SIGKILL before and after each commit and effect: the next process finds the outcome and repeats no effect."""

from pathlib import Path

import pytest

from remediator.model.run_state import ENDED, RunState
from tests.invariants.crashing import FAR_BEYOND, SCENARIOS, crash_and_recover

# Chosen by hand for the quick test: each kind of point, before and after, in the scenarios that have it.
SHORT = [
    *(("fixed", point) for point in ("after commit of the tables", "before acceptance", "after acceptance")),
    *(
        ("fixed", f"{when} {what}")
        for what in (
            "commit of episode_opened",
            "commit of planned",
            "commit of prechecked+admitted",
            "commit of executing+intended",
            "effect on a",
            "commit of settled",
        )
        for when in ("before", "after")
    ),
    *(("in one effect", f"{when} effect on a") for when in ("before", "after")),
    *(("approved", f"after commit of {event}") for event in ("prechecked+awaiting_approval", "approved")),
    ("deferred", "after commit of prechecked+deferred"),
    *(
        ("started", f"{when} {what}")
        for what in (
            "commit of ",  # a question is no transition
            "commit of episode_opened+planned+confirmed",
            "effect on a",
            "commit of succeeded+episode_finished",
        )
        for when in ("before", "after")
    ),
    ("started", "after commit of prechecked+admitted"),
]


def points_of(lines: list[str]) -> list[str]:
    """Return the points of a process that did not crash."""
    return [line for line in lines if line.startswith(("before ", "after "))]


@pytest.mark.parametrize(("scenario", "die_at"), SHORT)
def test_ledger_is_correct_after_a_crash(tmp_path: Path, scenario: str, die_at: str) -> None:
    """Invariants 1, 5, 6, 13, 21 at one point each; `make soak` tests every point of every scenario."""
    lines = crash_and_recover(tmp_path, scenario, [die_at])
    assert "life 1" in lines


@pytest.mark.parametrize("scenario", sorted({name for name, _ in SHORT}))
def test_chosen_crash_points_exist(tmp_path: Path, scenario: str) -> None:
    """A process that never passes its point does not crash, and its test proves nothing."""
    lines = points_of(crash_and_recover(tmp_path, scenario, []))
    assert [point for name, point in SHORT if name == scenario and point not in lines] == []


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
