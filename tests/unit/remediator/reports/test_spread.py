"""The median and the 90th percentile are durations that were measured."""

from datetime import timedelta

import pytest

from remediator.reports.spread import Spread, spread_of

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([], (None, None)),
        ([5], (5, 5)),
        ([1, 2], (1, 2)),
        ([3, 1, 2], (2, 3)),
        (range(1, 11), (5, 9)),
        (range(1, 101), (50, 90)),
        ([-4], (0, 0)),  # a clock that was set back
    ],
)
def test_percentiles_are_by_the_nearest_rank(seconds: list[int], expected: tuple[int | None, int | None]) -> None:
    median, ninetieth = (None if each is None else timedelta(seconds=each) for each in expected)
    assert spread_of(each * SECOND for each in seconds) == Spread(len(seconds), median, ninetieth)
