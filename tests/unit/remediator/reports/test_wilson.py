"""The lower bound agrees with published values of Wilson's interval."""

import pytest

from remediator.reports.wilson import lower_bound


@pytest.mark.parametrize(
    ("successes", "total", "expected"),
    [
        (0, 0, 0.0),
        (0, 10, 0.0),
        (1, 1, 0.2065),
        (5, 5, 0.5655),
        (8, 10, 0.4902),
        (10, 10, 0.7225),
        (20, 20, 0.8389),
        (25, 26, 0.8111),
        (81, 263, 0.2553),  # R. G. Newcombe, Statistics in Medicine 17 (1998), table I
        (15, 148, 0.0624),
    ],
)
def test_lower_bound_is_that_of_the_interval(successes: int, total: int, expected: float) -> None:
    assert lower_bound(successes, total) == pytest.approx(expected, abs=5e-5)


def test_bound_grows_with_the_number_of_cases() -> None:
    bounds = [lower_bound(9 * cases, 10 * cases) for cases in range(1, 50)]
    assert bounds == sorted(bounds)
    assert max(bounds) < 0.9
