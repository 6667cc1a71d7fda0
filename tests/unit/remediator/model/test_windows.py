"""Windows in the time zone of the inventory, over midnight and over daylight saving."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from remediator.model.windows import _DAYS, active_freeze, end_after, in_window, next_start, occurrences
from runbookd.inventory import Freeze, Window


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
def test_window_includes_its_start_and_excludes_its_end(moment: str, inside: bool) -> None:
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
def test_window_over_midnight_belongs_to_the_day_of_its_start(moment: str, inside: bool) -> None:
    assert in_window(window(["sun"], "23:00", "01:00"), at(moment)) is inside


def test_window_follows_the_wall_clock_over_daylight_saving() -> None:
    night = window(["sun"], "03:00", "04:00", "Europe/Berlin")
    assert in_window(night, at("2026-03-22T02:30:00Z"))  # winter: UTC+1
    assert in_window(night, at("2026-03-29T01:30:00Z"))  # the clocks went from 02:00 to 03:00
    assert not in_window(night, at("2026-03-29T02:30:00Z"))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_next_start_is_the_edge_of_the_window(zone: str) -> None:
    night = window(["mon", "fri"], "04:00", "05:00", zone)
    moment = at("2026-10-20T00:00:00Z")
    for _ in range(20):
        start = next_start(night, moment)
        assert in_window(night, start)
        assert not in_window(night, start - timedelta(seconds=1))
        moment = start + timedelta(hours=2)


def test_freeze_includes_its_start_and_excludes_its_end() -> None:
    freeze = Freeze.model_validate({"from": "2026-12-24T00:00:00Z", "to": "2026-12-27T00:00:00Z"})
    assert active_freeze([("holidays", freeze)], at("2026-12-24T00:00:00Z")) == "holidays"
    assert active_freeze([("holidays", freeze)], at("2026-12-27T00:00:00Z")) is None


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"]
TIMES = st.builds(time, st.integers(0, 4) | st.integers(0, 23), st.sampled_from([0, 10, 15, 30, 45]))
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
# Around the clock changes, where bugs are likely.
CHANGES = st.builds(
    lambda change, minutes: at(change) + timedelta(minutes=minutes),
    st.sampled_from(
        ["2026-03-29T01:00Z", "2026-10-25T01:00Z", "2026-03-08T07:00Z", "2026-11-01T06:00Z", "2026-04-04T15:00Z"]
    ),
    st.integers(-200, 200),
)


@given(st.sampled_from(ZONES), TIMES, TIMES, st.sets(st.sampled_from(_DAYS), min_size=1), MOMENTS | CHANGES)
@settings(max_examples=400)
def test_next_start_is_the_first_moment_in_the_window(
    zone: str, start: time, end: time, days: set[str], moment: datetime
) -> None:
    """Invariant 11, over daylight saving in any zone: the start lies in the window, and no moment before it does."""
    assume(start != end)
    weekly = window(sorted(days), start.isoformat("minutes"), end.isoformat("minutes"), zone)
    found = next_start(weekly, moment)
    assert found >= moment
    assert in_window(weekly, found)
    for minutes in range(min(600, int((found - moment).total_seconds() // 60))):
        assert not in_window(weekly, found - timedelta(minutes=minutes, seconds=1))
    for minutes in range(0, min(600, int((found - moment).total_seconds() // 60)), 5):
        assert not in_window(weekly, moment + timedelta(minutes=minutes))


@given(st.sampled_from(ZONES), TIMES, TIMES, st.sets(st.sampled_from(_DAYS), min_size=1), MOMENTS | CHANGES)
@example("Australia/Lord_Howe", time(1, 45), time(0, 0), set(_DAYS), at("2026-04-04T15:00Z"))  # set back out of it
@settings(max_examples=200)
def test_occurrences_are_the_times_at_which_the_window_is_open(
    zone: str, start: time, end: time, days: set[str], since: datetime
) -> None:
    assume(start != end)
    weekly = window(sorted(days), start.isoformat("minutes"), end.isoformat("minutes"), zone)
    until = since + timedelta(days=2)
    found = list(occurrences(weekly, since, until))
    for opens, closes in found:
        assert in_window(weekly, opens)
        assert not in_window(weekly, opens - timedelta.resolution)
        assert in_window(weekly, closes - timedelta.resolution)
        assert not in_window(weekly, closes)
    for minutes in range(0, 2 * 24 * 60, 13):
        moment = since + timedelta(minutes=minutes)
        assert not in_window(weekly, end_after(weekly, moment))
        assert in_window(weekly, moment) is not (end_after(weekly, moment) == moment)
        assert in_window(weekly, moment) is any(opens <= moment < closes for opens, closes in found)


@pytest.mark.parametrize(
    ("start", "end", "moment", "expected"),
    [
        ("02:30", "04:00", "2026-03-29T00:50:00Z", "2026-03-29T01:00:00Z"),  # its start is skipped
        ("01:30", "02:30", "2026-10-25T00:45:00Z", "2026-10-25T01:00:00Z"),  # it is over, and begins again
        ("02:15", "02:45", "2026-10-25T00:50:00Z", "2026-10-25T01:15:00Z"),  # its start comes twice
    ],
)
def test_window_starts_by_the_wall_clock_on_a_clock_change(start: str, end: str, moment: str, expected: str) -> None:
    assert next_start(window(["sun"], start, end, "Europe/Berlin"), at(moment)) == at(expected)


SKIPPED = [
    ("Europe/Berlin", "02:00", "03:00", "2026-03-29T01:00Z"),
    ("America/New_York", "02:00", "03:00", "2026-03-08T07:00Z"),
    ("America/Santiago", "00:00", "01:00", "2026-09-06T04:00Z"),
    ("Australia/Lord_Howe", "02:00", "02:30", "2026-10-03T15:30Z"),
    ("Africa/Cairo", "00:10", "00:40", "2026-04-23T22:10Z"),
    ("Asia/Beirut", "00:00", "01:00", "2026-03-28T22:00Z"),
]


@pytest.mark.parametrize(("zone", "start", "end", "opens"), SKIPPED)
def test_window_that_the_clocks_skip_opens_late_for_its_usual_length(
    zone: str, start: str, end: str, opens: str
) -> None:
    weekly = window([_DAYS[at(opens).astimezone(ZoneInfo(zone)).weekday()]], start, end, zone)
    length = timedelta(minutes=(weekly.end.hour - weekly.start.hour) * 60 + weekly.end.minute - weekly.start.minute)
    assert next_start(weekly, at(opens) - timedelta(days=6)) == at(opens)
    assert not in_window(weekly, at(opens) - timedelta(seconds=1))
    assert in_window(weekly, at(opens) + length - timedelta(seconds=1))
    assert not in_window(weekly, at(opens) + length)


@pytest.mark.parametrize("zone", [zone for zone, *_ in SKIPPED])
def test_window_of_the_early_hours_opens_in_every_week_of_the_year(zone: str) -> None:
    for hour in range(4):
        weekly = window(["sun"], f"{hour:02}:00", f"{hour + 1:02}:00", zone)
        moment = at("2026-01-01T00:00Z")
        while moment < at("2027-01-01T00:00Z"):
            start = next_start(weekly, moment)
            assert start - moment <= timedelta(days=9)
            moment = start + timedelta(days=1)


def test_window_ends_where_the_clocks_skip_the_rest_of_its_day() -> None:
    nuuk = window(["sat"], "20:00", "23:30", "America/Nuuk")  # on 2026-03-29 at 01:00 UTC, 23:00 becomes 00:00
    assert end_after(nuuk, at("2026-03-28T23:00:00Z")) == at("2026-03-29T01:00:00Z")


def test_window_on_a_day_that_a_zone_skipped_opens_the_day_after() -> None:
    """Samoa had no 30 December 2011: it moved across the date line."""
    weekly = window(["fri"], "10:00", "11:00", "Pacific/Apia")
    assert next_start(weekly, at("2011-12-24T12:00Z")) == at("2011-12-30T20:00Z")


@given(st.sampled_from(ZONES), CHANGES)
@settings(max_examples=100)
def test_wall_clock_alone_decides_whether_a_window_is_open(zone: str, moment: datetime) -> None:
    night = window(["sun"], "01:30", "02:30", zone)
    local = moment.astimezone(ZoneInfo(zone))
    assert in_window(night, moment) is (local.weekday() == 6 and time(1, 30) <= local.time() < time(2, 30))


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-03-28T22:59:59Z", False),
        ("2026-03-28T23:00Z", True),
        ("2026-03-29T21:59:59Z", True),
        ("2026-03-29T22:00Z", False),
    ],
)
def test_freeze_may_name_a_time_zone(moment: str, inside: bool) -> None:
    day = {"from": "2026-03-29T00:00:00", "to": "2026-03-30T00:00:00", "zone": "Europe/Berlin"}
    assert (active_freeze([("day", Freeze.model_validate(day))], at(moment)) is not None) is inside


def test_freeze_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="have no zone"):
        Freeze.model_validate({"from": "2026-03-29T00:00:00", "to": "2026-03-30T00:00:00"})
