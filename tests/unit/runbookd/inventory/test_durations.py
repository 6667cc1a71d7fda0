"""Durations are parsed, formatted and parsed back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbookd.inventory import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90s", 90), ("5m", 300), ("24h", 86_400), ("7d", 604_800), ("1h30m", 5_400)]
)
def test_duration_is_parsed_in_every_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@given(st.integers(min_value=0, max_value=3_660 * 86_400))
def test_formatted_duration_is_parsed_back_unchanged(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    "text", ["", "5", "m", "-5m", "5 m", "1.5h", "5m1h", "5min", "\u0665m", "9" * 40 + "d", "9" * 5_000 + "s", "3661d"]
)
def test_text_that_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
