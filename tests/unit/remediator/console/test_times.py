"""Times in UTC, in the zone of a stack, and relative to now."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from remediator.console.times import relative_text, span_text, utc_text, zone_of, zone_text
from runbookd.inventory import Stack

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
WINDOW = {"days": ["sun"], "from": "02:00", "to": "04:00"}


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(minutes=5), "02:55:00 UTC"),
        (timedelta(hours=4), "28 Feb 23:00 UTC"),
        (timedelta(days=400), "2025-01-25 03:00 UTC"),
    ],
)
def test_time_in_utc_has_as_much_date_as_it_needs(ago: timedelta, text: str) -> None:
    assert utc_text(NOW - ago, NOW) == text


def test_time_in_the_zone_names_the_day_if_it_is_another_one() -> None:
    assert zone_text(NOW, BERLIN) == "04:00 CET"
    assert zone_text(NOW, ZoneInfo("America/New_York")) == "Sat 22:00 EST"
    assert zone_text(NOW, None) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "now"),
        (4, "now"),
        (59, "59 s ago"),
        (61, "1 min 1 s ago"),
        (7_980, "2 h 13 min ago"),
        (-90_000, "in 1 d 1 h"),
    ],
)
def test_relative_time_has_two_units(seconds: int, text: str) -> None:
    assert relative_text(NOW - timedelta(seconds=seconds), NOW) == text


def test_span_of_many_minutes_leaves_the_seconds_out() -> None:
    assert span_text(timedelta(minutes=12, seconds=30)) == "12 min"


@pytest.mark.parametrize(
    ("stack", "zone"),
    [
        ({}, None),
        ({"zone": "Europe/Berlin"}, BERLIN),
        ({"windows": {"night": {**WINDOW, "zone": "Europe/Berlin"}, "noon": WINDOW}}, BERLIN),
        ({"windows": {"a": {**WINDOW, "zone": "Europe/Berlin"}, "b": {**WINDOW, "zone": "Asia/Tokyo"}}}, None),
        ({"zone": "UTC", "windows": {"night": {**WINDOW, "zone": "Europe/Berlin"}}}, None),
    ],
)
def test_zone_of_a_stack_is_its_own_or_that_of_its_windows(stack: dict[str, object], zone: ZoneInfo | None) -> None:
    assert zone_of(Stack.model_validate(stack)) == zone
