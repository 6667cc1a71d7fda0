"""Windows in the zone people wrote them in, over midnight and over daylight saving."""

from datetime import UTC, datetime, timedelta

import pytest

from inventory import Freeze, Window
from remediator.windows import active_freeze, in_window, next_start


def window(days: list[str], start: str, end: str, zone: str = "UTC") -> Window:
    return Window.model_validate({"days": days, "from": start, "to": end, "zone": zone})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-03-01T01:59:59Z", False),
        ("2026-03-01T02:00:00Z", True),
        ("2026-03-01T03:59:59Z", True),
        ("2026-03-01T04:00:00Z", False),
        ("2026-03-02T03:00:00Z", False),
        ("2026-03-04T03:00:00Z", True),
    ],
)
def test_half_open_on_its_days(moment: str, inside: bool) -> None:
    assert in_window(window(["sun", "wed"], "02:00", "04:00"), at(moment)) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-03-01T22:59:00Z", False),
        ("2026-03-01T23:30:00Z", True),
        ("2026-03-02T00:30:00Z", True),
        ("2026-03-02T01:00:00Z", False),
        ("2026-03-01T00:30:00Z", False),
    ],
)
def test_over_midnight_it_belongs_to_the_day_it_began(moment: str, inside: bool) -> None:
    assert in_window(window(["sun"], "23:00", "01:00"), at(moment)) is inside


def test_summer_time_moves_the_window_with_the_wall_clock() -> None:
    night = window(["sun"], "03:00", "04:00", "Europe/Berlin")
    assert in_window(night, at("2026-03-22T02:30:00Z"))  # winter: UTC+1
    assert in_window(night, at("2026-03-29T01:30:00Z"))  # the clocks went from 02:00 to 03:00
    assert not in_window(night, at("2026-03-29T02:30:00Z"))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_the_next_start_lies_in_the_window_and_nothing_before_it_does(zone: str) -> None:
    night = window(["mon", "fri"], "04:00", "05:00", zone)
    moment = at("2026-10-20T00:00:00Z")
    for _ in range(20):
        start = next_start(night, moment)
        assert in_window(night, start)
        assert not in_window(night, start - timedelta(seconds=1))
        moment = start + timedelta(hours=2)


def test_a_freeze_is_half_open() -> None:
    freeze = Freeze.model_validate({"from": "2026-12-24T00:00:00Z", "to": "2026-12-27T00:00:00Z"})
    assert active_freeze([("holidays", freeze)], at("2026-12-24T00:00:00Z")) == "holidays"
    assert active_freeze([("holidays", freeze)], at("2026-12-27T00:00:00Z")) is None
