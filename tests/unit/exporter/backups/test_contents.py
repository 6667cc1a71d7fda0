"""An object is a backup by its name, date and size."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from exporter.backups.contents import BackupClassifier, StoredObject
from runbookd.inventory import BackupNames

PATTERN = "db_%Y%m%d_%H%M%S.dump"
MADE = datetime(2026, 11, 20, 2, tzinfo=UTC).timestamp()


def backup_times(
    name: str, size: int = 1, *, pattern: str = PATTERN, zone: str = "UTC", now: float = MADE
) -> list[float]:
    reader = BackupClassifier(BackupNames(pattern, ZoneInfo(zone)))
    return [backup.made_at for backup in reader.classify([StoredObject(name, size, MADE, None)], now).backups]


def test_backup_is_dated_by_its_name() -> None:
    assert backup_times("db_20261120_020000.dump") == [MADE]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("db_20261120_020000.dump", 0),
        ("db_20261120_020000.dump.partial", 1),
        ("xdb_20261120_020000.dump", 1),
        ("db_20261399_020000.dump", 1),
        ("db_20261120_020001.dump", 1),  # a second in the future
        ("readme.txt", 1),
    ],
)
def test_other_objects_are_not_backups(name: str, size: int) -> None:
    assert backup_times(name, size) == []


def test_zone_applies_unless_the_name_has_an_offset() -> None:
    assert backup_times("db_20261120_020000.dump", zone="Asia/Tokyo") == [MADE - 9 * 3600]
    name, pattern = "db_20261120_020000+0000.dump", "db_%Y%m%d_%H%M%S%z.dump"
    assert backup_times(name, pattern=pattern, zone="Asia/Tokyo") == [MADE]
