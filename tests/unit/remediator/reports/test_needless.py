"""A run is needless only by comparison with alerts that lasted as long, ended before it, and that nobody touched."""

import pytest

from remediator.reports.needless import Fix, Needless, Untouched, judge

# Admitted 60 after its alert began, and proved after 100; the alert began at 940.
FIX = Fix(run=7, admitted_at=1_000, delay=60, took=100)


def alone(*lasted: int, ended_at: int = 500) -> list[Untouched]:
    return [Untouched(ended_at, each) for each in lasted]


@pytest.mark.parametrize(
    ("untouched", "expected"),
    [
        ([], Needless(0, 1, [])),
        (alone(70, 70, 70, 70), Needless(0, 1, [])),
        (alone(70, 70, 70, 70, 70), Needless(1, 0, [7])),
        (alone(70, 80, 100, 101, 900, 900), Needless(1, 0, [7])),
        (alone(70, 80, 101, 101, 900), Needless(1, 0, [])),
        (alone(10, 20, 30, 40, 59, 70), Needless(0, 1, [])),  # over before a run would have acted
        (alone(60, 60, 60, 60, 60), Needless(1, 0, [7])),
        (alone(70, 70, 70, 70, 70, ended_at=1_001), Needless(0, 1, [])),  # it ended after the run began
        (alone(70, 70, 70, 70, 70, ended_at=1_000), Needless(1, 0, [7])),
    ],
)
def test_run_is_compared_with_alerts_that_lasted_as_long_and_ended_before(
    untouched: list[Untouched], expected: Needless
) -> None:
    assert judge([FIX], untouched) == expected


def test_fix_of_a_clock_that_was_set_back_is_not_needless() -> None:
    assert judge([FIX._replace(took=-5)], alone(70, 70, 70, 70, 70)) == Needless(1, 0, [])


def test_later_run_is_compared_with_more_alerts() -> None:
    later = FIX._replace(run=8, admitted_at=3_000)
    untouched = [*alone(70, 70, 70), *alone(70, 70, ended_at=2_000)]
    assert judge([later, FIX], untouched) == Needless(1, 1, [8])
