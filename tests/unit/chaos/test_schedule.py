"""The order of faults depends on the seed alone, and every kind has its turn."""

from collections import Counter
from itertools import pairwise

import pytest

from chaos.replica_faults import CLOCK
from chaos.schedule import LANES, schedule


def test_same_seed_gives_the_same_faults() -> None:
    assert schedule(7, 600) == schedule(7, 600)
    assert schedule(7, 600) != schedule(8, 600)


def test_longer_run_begins_with_the_faults_of_a_shorter_one() -> None:
    shorter = schedule(7, 120)
    assert [step for step in schedule(7, 600) if step.at < shorter[-1].at] == list(shorter[:-1])


@pytest.mark.parametrize("seed", range(5))
def test_ten_minutes_have_every_fault(seed: int) -> None:
    counts = Counter(step.fault for step in schedule(seed, 600))
    assert {fault for faults in LANES.values() for fault in faults} == set(counts)


@pytest.mark.parametrize("lane", LANES)
def test_faults_of_a_lane_follow_one_another_and_end_in_time(lane: str) -> None:
    steps = [step for step in schedule(3, 600) if step.lane == lane]
    assert all(earlier.at + earlier.seconds < later.at for earlier, later in pairwise(steps))
    assert all(step.at + step.seconds <= 600.1 for step in steps)


def test_skipped_faults_leave_the_others_as_they_are() -> None:
    every, without = schedule(3, 600), schedule(3, 600, CLOCK)
    assert list(without) == [step for step in every if not step.fault.startswith(CLOCK)]
    assert len(without) < len(every)
