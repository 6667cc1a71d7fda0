"""Backup names give dates, markers and the keys of a listing."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbookd.inventory import BackupNames, ProofKind, key_before, marker_name, parse_marker_name

PATTERN = "db_%Y%m%d_%H%M%S.dump"
MADE = datetime(2026, 11, 20, 2, tzinfo=UTC)


def names(pattern: str, zone: str = "UTC") -> BackupNames:
    return BackupNames(pattern, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("pattern", "sorts"),
    [
        (PATTERN, True),
        ("%Y-%m-%d.sql.gz", True),
        ("db-%y%m%d", True),
        ("db-%Y-%j.dump", True),
        ("db_%d%m%Y.dump", False),
        ("db_%Y_week%U_%d.dump", False),
        ("%H_%Y%m%d.dump", False),
        ("latest.dump", False),
    ],
)
def test_pattern_sorts_by_date_only_from_year_to_second(pattern: str, sorts: bool) -> None:
    assert names(pattern).sorts_by_date is sorts


# A two-digit year means 1969 to 2068.
DATES = st.integers(946_684_800, 3_124_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
SORTED = st.sampled_from([PATTERN, "%Y-%m-%dT%H-%M.sql", "a%y%j", "x_%Y_%m_%d_%H.log"])


@given(DATES, DATES, SORTED)
def test_key_of_a_moment_precedes_all_later_names(one: datetime, other: datetime, pattern: str) -> None:
    """So a listing that starts after the key misses none of them."""
    tested = names(pattern)
    early, late = sorted((one, other))
    assert tested.first_key() < tested.key_at(early) < tested.name_at(late) < tested.last_key()


def test_key_is_just_before_its_name() -> None:
    assert key_before("db_20261120_020000.dump") < "db_20261120_020000.dump"
    assert key_before("db_20261120_020000.dump") > "db_20261120_015959.dump.verified.json"


def test_key_and_date_follow_the_time_zone() -> None:
    tokyo = names(PATTERN, "Asia/Tokyo")
    assert tokyo.name_at(MADE) == "db_20261120_110000.dump"
    assert tokyo.date_of("db_20261120_110000.dump") == MADE
    assert tokyo.key_at(MADE).startswith("db_20261120_1")


@pytest.mark.parametrize(
    "name",
    [
        "db_20261120_020000.dump.partial",
        "db_20261120_020000.dump.tmp",
        "db_20261120_020000.dump.deadbeef.partial",
        ".db_20261120_020000.dump.a1B2c3",
    ],
)
def test_unfinished_upload_has_a_date(name: str) -> None:
    assert names(PATTERN).date_of_partial(name) == MADE
    assert names(PATTERN).date_of(name) is None


@pytest.mark.parametrize("name", ["db_20261120_020000.dump", "readme.tmp", "db_20261120_020000.dump.verified.json"])
def test_other_names_are_not_unfinished_uploads(name: str) -> None:
    assert names(PATTERN).date_of_partial(name) is None


@pytest.mark.parametrize("proof", ProofKind)
def test_marker_name_is_parsed_back(proof: ProofKind) -> None:
    assert parse_marker_name(marker_name("db.dump", proof)) == ("db.dump", proof)


@pytest.mark.parametrize("name", ["db.dump", "db.dump.json", ".verified.json", "db.dump.verified.json.tmp"])
def test_other_names_are_not_markers(name: str) -> None:
    assert parse_marker_name(name) is None
