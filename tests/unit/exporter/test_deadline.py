"""The deadline leaves time to write the answer, and no header can break it."""

import pytest

from exporter.deadline import deadline_of


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, 109.5),
        ("", 109.5),
        ("10", 109.5),
        ("2.5", 102.0),
        ("60", 159.5),
        ("1", 100.5),
        ("0.4", 100.2),  # half of it, because 0.5 s less would be in the past
        ("0", 109.5),
        ("-1", 109.5),
        ("soon", 109.5),
        ("nan", 109.5),
        ("inf", 109.5),
    ],
)
def test_deadline_leaves_a_margin_and_ignores_invalid_headers(header: str | None, expected: float) -> None:
    assert deadline_of(header, 100.0) == pytest.approx(expected)
